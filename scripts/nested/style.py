# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make check-style": one TAP line per file and rule.

import json
import os
import re
import shlex
import subprocess

MAX_LINES = 800
MAX_PATCH_LINES = 100

SOURCE = ('.c', '.h', '.py', '.sh', '.rst', '.json', '.build', '.mak')
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

    def check(self, ok, what, detail=''):
        self.lines.append(('ok' if ok else 'not ok') +
                          f' {len(self.lines) + 1} - {what}')
        if not ok:
            print(f'style: {what}\n{detail}'.rstrip())

    def text(self):
        return '\n'.join(self.lines)


def checkpatch(tap, top, build, name, is_patch):
    # By its relative name: rules differ below tests/
    cmd = ['perl', os.path.join(build, 'src/scripts/checkpatch.pl'),
           '--no-tree', '--no-signoff', '--quiet']
    if not is_patch:
        cmd.append('-f')
    run = subprocess.run(cmd + [name], cwd=top, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    # What a file mode run cannot know: upstream's MAINTAINERS
    text = run.stdout
    found = [block for block in re.split(r'\n\n+', text)
             if re.match(r'(ERROR|WARNING):', block) and
             'MAINTAINERS' not in block]
    tap.check(not found, f'checkpatch: {name}', '\n'.join(found))


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


def warnings(tap, top, build):
    """Our files once more as the build compiles them, with -Werror"""
    path = os.path.join(build, 'obj', 'compile_commands.json')
    if not os.path.exists(path):
        tap.lines.append(f'ok {len(tap.lines) + 1} - -Werror # SKIP nothing'
                         ' is configured in ' + os.path.basename(build))
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
        del args[out:out + 2]
        run = subprocess.run(args + ['-Werror', '-fsyntax-only'],
                             cwd=entry['directory'], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        tap.check(run.returncode == 0,
                  f'-Werror: {os.path.relpath(origin, top)}', run.stdout)


def run(top, build):
    tap = Tap()
    for name in tracked(top):
        path = os.path.join(top, name)
        with open(path, encoding='utf-8', errors='replace') as data:
            text = data.read()
        text_rules(tap, name, text)
        if name.endswith(('.c', '.h')):
            checkpatch(tap, top, build, name, False)
        elif name.endswith('.patch'):
            checkpatch(tap, top, build, name, True)
            patch_rules(tap, name, text)
    with open(os.path.join(top, 'patches/series'), encoding='utf-8') as data:
        series = {line.strip() for line in data
                  if line.strip() and not line.startswith('#')}
    there = {n for n in os.listdir(os.path.join(top, 'patches'))
             if n.endswith('.patch')}
    tap.check(series == there, 'patches/series names the patches that are '
              'there', f'only one of both has: {sorted(series ^ there)}')
    warnings(tap, top, build)
    return tap.text()
