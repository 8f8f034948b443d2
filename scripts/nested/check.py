#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the parts of "make check" and counts their results.
#
# Every part leaves BUILD/results/<part>.json; "total" prints them, "summary"
# prints only the closing line that CI reads.

import argparse
import json
import os
import re
import subprocess
import sys
import time

import style
import upstream

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# part: suite of "meson test" that holds it
SUITES = {
    'unit': 'nested-unit',
    'model': 'model',
    'qtest': 'nested-qtest',
}

# Parts that are one program of ours, which prints TAP
TAP_SCRIPTS = {
    'build': ['{top}/tests/build/configure-test.sh', '{build}'],
    'docs': ['{top}/tests/docs/commands.py', '{build}'],
    'report': ['python3', '{top}/tests/lab/report-test.py'],
    'guests': ['{top}/tests/guests/run', '--build', '{build}',
               '--jobs', '{jobs}'],
    'libvirt': ['{top}/tests/libvirt/run', '{build}'],
    'deb': ['{top}/tests/package/deb-test.sh', '{build}'],
    'install': ['{top}/tests/package/install-test.sh', '{build}', '{jobs}'],
}

# A sanitizer's finding ends the program.  The base frees little at its end,
# so leaks are looked for in programs of ours alone; the model is preloaded,
# which the address sanitizer would refuse to come after.
SANITIZER_LEAKS = {'unit': 1, 'model': 1, 'qtest': 0}
SANITIZER_SLOWER = 6

PARTS = ['style', 'build', 'docs', 'report', 'unit', 'model', 'qtest',
         'guests', 'libvirt', 'upstream']
# Not in "make check": kernels, packages, and all of QEMU are built for them
MORE_PARTS = ['lab', 'deb', 'install']
# What passes there is a file and a rule, and is not counted as a test
NO_TESTS = ['style']

TAP_LINE = re.compile(r'^(not ok|ok)\b[ ]*\d*(.*)$')


def count_tap(text):
    """Results of one TAP stream: (passed, failures, skips with reason)"""
    passed, failures, skips = 0, [], []
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if not match:
            continue
        what = match.group(2).strip(' -')
        if re.search(r'#\s*skip', what, re.I):
            skips.append(what)
        elif match.group(1) == 'ok' or re.search(r'#\s*todo', what, re.I):
            passed += 1
        else:
            failures.append(what)
    return passed, failures, skips


class Results:
    """What one part found; printed as it is saved"""

    def __init__(self, build, part):
        self.path = os.path.join(build, 'results', part + '.json')
        self.part = part
        self.passed = 0
        self.failed = []
        self.skipped = []
        self.start = time.monotonic()

    def add_tap(self, name, text, ok):
        passed, failures, skips = count_tap(text)
        self.passed += passed
        self.failed += [f'{name}: {f}' for f in failures]
        self.skipped += [f'{name}: {s}' for s in skips]
        if not ok and not failures:
            self.failed.append(f'{name}: did not run to its end')
        elif ok and not passed and not skips:
            # No TAP: the program's exit status is its one result
            self.passed += 1

    def save(self):
        seconds = time.monotonic() - self.start
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, 'w', encoding='utf-8') as out:
            json.dump({'part': self.part, 'passed': self.passed,
                       'failed': self.failed, 'skipped': self.skipped,
                       'seconds': round(seconds)}, out)
        for what in self.failed:
            print(f'FAILED  {self.part}: {what}')
        for what in self.skipped:
            print(f'skipped {self.part}: {what}')
        print(f'{self.part}: {self.passed} passed, {len(self.failed)} failed,'
              f' {len(self.skipped)} skipped in {seconds:.0f}s')
        return not self.failed


def meson_suite(args, part, suite):
    results = Results(args.build, part)
    obj = os.path.join(args.build, 'obj')
    base = 'nested-' + part
    log = os.path.join(obj, 'meson-logs', base + '.json')
    if os.path.exists(log):
        os.unlink(log)
    cmd = [os.path.join(obj, 'pyvenv/bin/meson'), 'test', '-C', obj,
           '--no-rebuild', '--suite', suite, '--logbase', base,
           '--num-processes', str(args.jobs)]
    env = dict(os.environ)
    if args.sanitizers:
        cmd += ['--timeout-multiplier', str(SANITIZER_SLOWER)]
        env['ASAN_OPTIONS'] = ('verify_asan_link_order=0:abort_on_error=1:'
                               f'detect_leaks={SANITIZER_LEAKS[part]}')
        env['UBSAN_OPTIONS'] = ('halt_on_error=1:abort_on_error=1:'
                                'print_stacktrace=1')
    run = subprocess.run(cmd, stdout=subprocess.PIPE, env=env,
                         stderr=subprocess.STDOUT, text=True, check=False)
    if not os.path.exists(log):
        print(run.stdout)
        results.failed.append(f'no test of suite {suite} ran')
        return results.save()
    with open(log, encoding='utf-8') as lines:
        for line in lines:
            test = json.loads(line)
            ok = test['result'] in ('OK', 'SKIP', 'EXPECTEDFAIL')
            results.add_tap(test['name'], test.get('stdout') or '', ok)
            if not ok:
                print(f'---- {test["name"]}: {test["result"]}')
                print((test.get('stdout') or '')[-4000:])
                print((test.get('stderr') or '')[-4000:])
    return results.save()


def targets(args):
    """What the parts need built, as ninja targets: far from everything"""
    parts = args.parts.split() if args.parts else PARTS
    suites = {'qemu:' + SUITES[part] for part in parts if part in SUITES}
    obj = os.path.join(args.build, 'obj')
    files = {t['id']: t['filename']
             for t in upstream.introspect(obj, '--targets')}
    tests = upstream.introspect(obj, '--tests')
    names = upstream.all_names() if 'upstream' in parts else []
    paths = set()
    if set(parts) - {'unit', 'model'}:
        paths = {'qemu-system-x86_64', 'qemu-system-aarch64'}
    for test in tests:
        if test['name'] not in names and \
           not set(test['suite']) & suites:
            continue
        for path in [test['cmd'][0]] + sum((files.get(d, [])
                                            for d in test['depends']), []):
            path = os.path.relpath(path, obj)
            if not path.startswith('..'):
                paths.add(path)
    print('\n'.join(sorted(paths)))
    return True


def tap_script(args, part, command):
    """A part that is one TAP-printing program of ours"""
    results = Results(args.build, part)
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                         check=False)
    ok = run.returncode == 0
    if not ok:
        print(run.stdout)
    results.add_tap(part, run.stdout, ok)
    return results.save()


def lab(args):
    """A run of half an hour: shown as it goes"""
    results = Results(args.build, 'lab')
    lines = []
    with subprocess.Popen([os.path.join(TOP, 'lab/run'),
                           '--build', args.build, '--jobs', str(args.jobs)],
                          stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            print(line, end='', flush=True)
            lines.append(line)
    results.add_tap('lab', ''.join(lines), run.returncode == 0)
    return results.save()


def load(build):
    found = []
    for part in PARTS + MORE_PARTS:
        path = os.path.join(build, 'results', part + '.json')
        if os.path.exists(path):
            with open(path, encoding='utf-8') as data:
                found.append(json.load(data))
    return found


def total(args):
    found = load(args.build)
    print()
    for part in found:
        word = 'checks' if part['part'] in NO_TESTS else 'passed'
        print(f'  {part["part"]:<10} {part["passed"]:>6} {word}'
              f' {len(part["failed"]):>4} failed'
              f' {len(part["skipped"]):>4} skipped {part["seconds"]:>6}s')
    return summary(args)


def summary(args):
    found = load(args.build)
    passed = sum(part['passed'] for part in found
                 if part['part'] not in NO_TESTS)
    failed = sum(len(part['failed']) for part in found)
    skipped = sum(len(part['skipped']) for part in found)
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return bool(found) and not failed


def begin(args):
    for part in PARTS + MORE_PARTS:
        path = os.path.join(args.build, 'results', part + '.json')
        if os.path.exists(path):
            os.unlink(path)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--sanitizers', action='store_true',
                        help='the tree is built with sanitizers')
    parser.add_argument('--parts', help='of "targets": what is to be run')
    parser.add_argument('part',
                        choices=['begin', 'targets', 'total', 'summary']
                        + PARTS + MORE_PARTS)
    args = parser.parse_args()

    if args.part in SUITES:
        ok = meson_suite(args, args.part, SUITES[args.part])
    elif args.part == 'style':
        results = Results(args.build, 'style')
        results.add_tap('style', style.run(TOP, args.build, args.jobs), True)
        ok = results.save()
    elif args.part in TAP_SCRIPTS:
        ok = tap_script(args, args.part, [
            word.format(top=TOP, build=args.build, jobs=args.jobs)
            for word in TAP_SCRIPTS[args.part]])
    elif args.part == 'upstream':
        results = Results(args.build, 'upstream')
        upstream.run(TOP, args.build, args.jobs, results)
        ok = results.save()
    else:
        ok = {'begin': begin, 'targets': targets, 'total': total,
              'summary': summary, 'lab': lab}[args.part](args)
    sys.exit(0 if ok else 1)


if __name__ == '__main__':
    main()
