#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Do tests notice when a line of ours is wrong?  tests/mutation/*.list has lines
and what becomes of them; each is built and the tests nearest to it are run:

  mutate.py BUILD [--only WORD] [--shard I/N] [--jobs N]

A mutation that no test notices has survived: it is printed, and the status is
1.  The sources are not touched: in BUILD/src the link to a file of ours is a
mutated copy for as long as its mutation is tried.

A list has stanzas: a line "file: tests", and below it pairs of lines that start
with "-" (a line of the file, which has it once; white space at both ends does
not count) and "+" (what stands there instead; nothing for a line that is
dropped). "=" in place of "+" is for one that changes nothing, with the reason
in a comment above it: it is not tried.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
TIMEOUT = 300
EMULATORS = {'vtd-': 'x86_64', 'sva-': 'x86_64', 'smmu-': 'aarch64'}


class Mutation:
    def __init__(self, where, path, tests, old):
        self.where = where
        self.path = path
        self.tests = tests
        self.old = old
        self.new = None
        self.same = False

    def title(self):
        return f'{self.path}: {self.old} -> {self.new or "(dropped)"}'

    def text(self):
        """The mutated file"""
        with open(os.path.join(TOP, self.path), encoding='utf-8') as data:
            lines = data.read().split('\n')
        found = [i for i, line in enumerate(lines)
                 if line.strip() == self.old]
        if len(found) != 1:
            raise ValueError(f'{self.where}: {self.path} has this line '
                             f'{len(found)} times: {self.old}')
        line = lines[found[0]]
        indent = line[:len(line) - len(line.lstrip())]
        lines[found[0]] = indent + self.new if self.new else ''
        return '\n'.join(lines)


def read_list(name):
    path = tests = None
    mutations = []
    with open(name, encoding='utf-8') as data:
        for number, line in enumerate(data, 1):
            line = line.rstrip('\n')
            where = f'{os.path.relpath(name, TOP)}:{number}'
            if not line.strip() or line.startswith('#'):
                continue
            if line[0] == '-':
                mutations.append(Mutation(where, path, tests,
                                          line[1:].strip()))
            elif line[0] in '+=':
                mutations[-1].new = line[1:].strip()
                mutations[-1].same = line[0] == '='
            else:
                path, _, names = line.partition(': ')
                tests = names.split()
                if not os.path.exists(os.path.join(TOP, path)) or not tests:
                    sys.exit(f'{where}: no file and tests')
    return mutations


def program(test):
    """Where ninja makes it"""
    kind = 'unit' if test.startswith('test-') else 'qtest'
    return f'tests/{kind}/nested/{test}'


def emulator(test):
    for start, target in EMULATORS.items():
        if test.startswith(start):
            return f'qemu-system-{target}'
    return None


class Runner:
    def __init__(self, build, jobs):
        self.build = build
        self.obj = os.path.join(build, 'obj')
        self.jobs = jobs

    def ninja(self, mutation):
        targets = {program(test) for test in mutation.tests}
        targets |= {emulator(test) for test in mutation.tests} - {None}
        run = subprocess.run(['ninja', '-j', str(self.jobs), *sorted(targets)],
                             cwd=self.obj, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        return run.returncode == 0, run.stdout

    def noticed_by(self, mutation):
        """The first test that fails, or None"""
        for test in mutation.tests:
            env = dict(os.environ)
            if emulator(test):
                env['QTEST_QEMU_BINARY'] = './' + emulator(test)
            try:
                subprocess.run([program(test), '--tap'], cwd=self.obj, env=env,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=TIMEOUT,
                               check=True)
            except subprocess.SubprocessError:
                return test
        return None

    def run(self, mutation):
        """What became of it: a test's name, "survived", "not built" """
        link = os.path.join(self.build, 'src', mutation.path)
        target = os.readlink(link)
        text = mutation.text()
        os.unlink(link)
        try:
            with open(link, 'w', encoding='utf-8') as out:
                out.write(text)
            built, _ = self.ninja(mutation)
            if not built:
                return 'not built'
            return self.noticed_by(mutation) or 'survived'
        finally:
            os.unlink(link)
            os.symlink(target, link)
            # What was built of the copy is newer than the file
            os.utime(os.path.join(TOP, mutation.path))


def chosen(args):
    names = sorted(glob.glob(os.path.join(TOP, 'tests/mutation/*.list')))
    every = [m for name in names for m in read_list(name)]
    for mutation in every:
        mutation.text()
    every = [m for m in every if not m.same and args.only in m.path]
    index, _, shards = args.shard.partition('/')
    return every[int(index) - 1::int(shards)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip(),
                                     formatter_class=argparse.
                                     RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('--only', default='', help='files with this in names')
    parser.add_argument('--shard', default='1/1', help='every Nth, from the '
                        'Ith on')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--check', action='store_true',
                        help='no more than that the lists are right')
    args = parser.parse_args()
    if not re.fullmatch(r'[1-9]\d*/[1-9]\d*', args.shard):
        parser.error(f'--shard={args.shard} is not I/N')
    try:
        mutations = chosen(args)
    except ValueError as err:
        sys.exit(f'mutate: {err}')
    if args.check:
        print(f'{len(mutations)} mutations')
        return
    # The link comes back then, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    runner = Runner(os.path.abspath(args.build), args.jobs)
    survivors = unbuilt = 0
    for number, mutation in enumerate(mutations, 1):
        result = runner.run(mutation)
        survivors += result == 'survived'
        unbuilt += result == 'not built'
        print(f'{number}/{len(mutations)} {result}: {mutation.title()}',
              flush=True)
    print(f'mutate: {len(mutations)} tried, {survivors} survived, {unbuilt} '
          f'not built', flush=True)
    sys.exit(1 if survivors or unbuilt else 0)


if __name__ == '__main__':
    main()
