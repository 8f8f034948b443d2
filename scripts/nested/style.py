# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make check-style": one TAP line per file and rule.
#
# What takes long, checkpatch and the compiler, runs side by side, and not again
# on what has passed and has not changed: BUILD/style.json says what that is.

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess

MAX_LINES = 800
MAX_PATCH_LINES = 100

SOURCE = ('.c', '.h', '.py', '.sh', '.rst', '.json', '.build', '.mak')
BINARY = ('.gz',)
# Generated from, or read by, programs that know no comment
NO_SPDX = ('trace-events', '.json')


def tracked(top):
    """Our files: git's where there is git, else all that is not built"""
    run = subprocess.run(['git', '-C', top, 'ls-files', '-co',
                          '--exclude-standard'], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=False)
    if run.returncode == 0:
        names = run.stdout.splitlines()
    else:
        names = []
        for folder, dirs, files in os.walk(top):
            dirs[:] = [d for d in dirs if d not in ('build', '.git')]
            names += [os.path.relpath(os.path.join(folder, f), top)
                      for f in files]
    return sorted(n for n in names if os.path.isfile(os.path.join(top, n)))


class Tap:
    def __init__(self):
        self.lines = []

    def skip(self, what, reason):
        self.lines.append(f'ok {len(self.lines) + 1} - {what} # SKIP {reason}')

    def check(self, ok, what, detail=''):
        self.lines.append(('ok' if ok else 'not ok') +
                          f' {len(self.lines) + 1} - {what}')
        if not ok:
            print(f'style: {what}\n{detail}'.rstrip())

    def text(self):
        return '\n'.join(self.lines)


def digest(*parts):
    """Of texts and of files' contents, each with its end"""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f'{len(part)}:{part}'.encode())
    return whole.hexdigest()


class Programs:
    """Programs whose silence is wanted, and what they were silent about"""

    def __init__(self, build):
        self.path = os.path.join(build, 'style.json')
        self.jobs = []
        try:
            with open(self.path, encoding='utf-8') as known:
                self.passed = json.load(known)
        except (FileNotFoundError, ValueError):
            self.passed = {}

    def add(self, what, key, function, *args):
        """@key: of all that @function's answer depends on"""
        self.jobs.append((what, key, function, args))

    def run(self, tap, jobs):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            runs = [None if self.passed.get(what) == key
                    else pool.submit(function, *args)
                    for what, key, function, args in self.jobs]
            details = [run.result() if run else '' for run in runs]
        for (what, _, _, _), detail in zip(self.jobs, details):
            tap.check(not detail, what, detail)
        passed = {what: key for (what, key, _, _), detail
                  in zip(self.jobs, details) if not detail}
        with open(self.path + '.new', 'w', encoding='utf-8') as out:
            json.dump(passed, out)
        os.replace(self.path + '.new', self.path)


def checkpatch(top, script, name):
    """What it has to say, or nothing"""
    # By its relative name: rules differ below tests/
    cmd = ['perl', script, '--no-tree', '--no-signoff', '--quiet']
    if not name.endswith('.patch'):
        cmd.append('-f')
    run = subprocess.run(cmd + [name], cwd=top, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    # What a file mode run cannot know: upstream's MAINTAINERS
    text = run.stdout
    found = [block for block in re.split(r'\n\n+', text)
             if re.match(r'(ERROR|WARNING):', block) and
             'MAINTAINERS' not in block]
    return '\n'.join(found)


def text_rules(tap, name, text):
    lines = text.splitlines()
    base = os.path.basename(name)
    if name.endswith(SOURCE) and not name.endswith(NO_SPDX):
        tap.check(any('SPDX-License-Identifier: GPL-2.0-or-later' in line
                      for line in lines[:40]), f'SPDX line: {name}')
    if name.endswith(('.c', '.h')):
        tap.check(len(lines) <= MAX_LINES, f'length: {name}',
                  f'{len(lines)} lines, more than {MAX_LINES}')
    if name.endswith(('.c', '.h', '.py', '.sh', 'configure', 'Makefile')):
        marks = [line for line in lines
                 if re.search(r'\b(TODO|FIXME|XXX)\b', line) and
                 base != 'style.py']
        tap.check(not marks, f'no open ends: {name}', '\n'.join(marks))
    spaces = [str(n + 1) for n, line in enumerate(lines)
              if line != line.rstrip()]
    if not name.endswith('.patch') and name != 'LICENSE':
        tap.check(not spaces, f'white space: {name}',
                  'trailing in line ' + ', '.join(spaces))


def patch_rules(tap, name, text):
    added = sum(1 for line in text.splitlines()
                if line.startswith('+') and not line.startswith('+++'))
    tap.check(added <= MAX_PATCH_LINES, f'hooks only: {name}',
              f'adds {added} lines, more than {MAX_PATCH_LINES}')
    header = text.split('\n---', 1)[0]
    for field in ('Description:', 'Author:', 'Forwarded:'):
        tap.check(field in header, f'DEP-3 {field[:-1]}: {name}')


def compiled(args, folder):
    """What the compiler has to say with -Werror, or nothing"""
    run = subprocess.run(args + ['-Werror', '-fsyntax-only'], cwd=folder,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    return run.stdout if run.returncode else ''


def warnings(tap, programs, top, build, headers):
    """Our files once more as the build compiles them, with -Werror"""
    path = os.path.join(build, 'obj', 'compile_commands.json')
    if not os.path.exists(path):
        tap.skip('-Werror', 'nothing is configured in '
                 + os.path.basename(build))
        return
    with open(path, encoding='utf-8') as data:
        commands = json.load(data)
    for entry in commands:
        source = os.path.normpath(os.path.join(entry['directory'],
                                               entry['file']))
        origin = os.path.realpath(source)
        if not origin.startswith(top + os.sep) or \
           origin.startswith(os.path.join(build, '')):
            continue
        args = shlex.split(entry['command'])
        out = args.index('-o')
        name = args[out + 1]
        del args[out:out + 2]
        with open(origin, encoding='utf-8') as data:
            key = digest(headers, ' '.join(args), data.read())
        programs.add(f'-Werror: {os.path.relpath(origin, top)} as {name}', key,
                     compiled, args, entry['directory'])


def run(top, build, jobs):
    tap = Tap()
    programs = Programs(build)
    script = os.path.join(build, 'src/scripts/checkpatch.pl')
    with open(script, encoding='utf-8') as data:
        rules = data.read()
    # What a file of ours includes: other files of ours, the patched base
    headers = ''
    for name in tracked(top):
        path = os.path.join(top, name)
        if name.endswith(BINARY):
            continue
        with open(path, encoding='utf-8', errors='replace') as data:
            text = data.read()
        text_rules(tap, name, text)
        if name.endswith('.patch'):
            patch_rules(tap, name, text)
        if name.endswith(('.c', '.h', '.patch')):
            programs.add(f'checkpatch: {name}', digest(rules, text),
                         checkpatch, top, script, name)
        if name.endswith(('.h', '.patch', '.json', 'trace-events')) or \
           os.path.basename(name) in ('configure', 'series', 'meson.build'):
            headers += digest(name, text)
    with open(os.path.join(top, 'patches/series'), encoding='utf-8') as data:
        series = {line.strip() for line in data
                  if line.strip() and not line.startswith('#')}
    there = {n for n in os.listdir(os.path.join(top, 'patches'))
             if n.endswith('.patch')}
    tap.check(series == there, 'patches/series names the patches that are '
              'there', f'only one of both has: {sorted(series ^ there)}')
    warnings(tap, programs, top, build, headers)
    programs.run(tap, jobs)
    return tap.text()
