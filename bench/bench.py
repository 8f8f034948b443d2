#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What guest commands cost: instructions of QEMU and calls of the host

Each workload (tests/qtest/nested/*-nested-bench.c) runs on the model of
/dev/iommu under valgrind's callgrind, a few times and some times more: the
difference is the workload alone. Counted is from a guest's write to a register
to its return, and what reads page requests, the calls of the host left out.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Where counting starts and ends, and what is left out in between
TOGGLE = {
    'x86_64': ['vtd_mem_write', 'fault_readable'],
    'aarch64': ['smmu_write_mmio'],
}
HOST = ['iommufd_sys_' + call for call in (
    'invalidate', 'attach', 'detach', 'hwpt_alloc', 'vdevice_alloc',
    'destroy', 'read', 'write')]

# Repetitions are enough when this many commands are the difference
ENOUGH = 500


class Case:
    """One workload with its numbers"""

    def __init__(self, target, workload, devices, commands, per):
        self.target = target
        self.workload = workload
        self.devices = devices
        self.commands = commands
        # What one repetition is divided by: its commands, or 1
        self.per = per

    @property
    def name(self):
        front = 'vtd' if self.target == 'x86_64' else 'smmu'
        return f'{front}/{self.workload}/{self.devices}/{self.commands}'


def all_cases():
    """Names are FRONT-END/WORKLOAD/DEVICES/COMMANDS"""
    cases = []
    for target, workloads in (('x86_64', ['pages', 'pages-tlb']),
                              ('aarch64', ['va', 'range', 'va-atc'])):
        for workload in workloads:
            cases += [Case(target, workload, 1, num, num)
                      for num in (1, 4, 16, 64, 256, 1024)]
            cases += [Case(target, workload, devices, num, num)
                      for devices in (4, 16, 64) for num in (1, 64)]
    for workload in 'bind', 'pasid-cache-domain', 'pasid-cache-global':
        cases += [Case('x86_64', workload, devices, num, 1)
                  for devices in (1, 16) for num in (1, 256)]
    cases += [Case('x86_64', 'page-requests', devices, num, num)
              for devices in (1, 2) for num in (1, 16, 64)]
    # Those of one PASID among many of others
    cases += [Case('x86_64', 'pasid-cache-domain', devices, num, 1)
              for devices, num in ((4, 64), (1, 4096))]
    return cases


class Runner:
    """Runs the programs of one build tree"""

    def __init__(self, obj, work):
        self.obj = obj
        self.work = work

    def wrapper(self, case, out):
        """A "QEMU" that counts instructions, for libqtest to start"""
        qemu = f'qemu-system-{case.target}'
        folder = os.path.join(self.work, case.target)
        path = os.path.join(folder, qemu)
        toggles = ' '.join(f'--toggle-collect={name}'
                           for name in TOGGLE[case.target] + HOST)
        os.makedirs(folder, exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write('#!/bin/sh\n'
                    f'exec valgrind --tool=callgrind --collect-atstart=no '
                    f'--callgrind-out-file={out} {toggles} '
                    f'./{qemu} "$@"\n')
        os.chmod(path, 0o755)
        return path

    def run(self, case, times):
        """Instructions, and the model's counters"""
        front = 'vtd' if case.target == 'x86_64' else 'smmu'
        out = os.path.join(self.work, 'callgrind.out')
        env = dict(os.environ, QTEST_QEMU_BINARY=self.wrapper(case, out))
        env.pop('MALLOC_PERTURB_', None)
        done = subprocess.run(
            [f'tests/qtest/nested/{front}-nested-bench', '--tap',
             case.workload, str(case.devices), str(case.commands),
             str(times)],
            cwd=self.obj, env=env, text=True, timeout=600, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        counts = re.search(r'bench: calls (\d+) invalidates (\d+) '
                           r'entries (\d+)', done.stdout)
        if done.returncode or not counts:
            raise RuntimeError(f'{case.name} failed:\n{done.stdout}')
        with open(out, encoding='utf-8') as f:
            total = re.search(r'^(?:totals|summary): *(\d+)', f.read(), re.M)
        return [int(total.group(1))] + [int(num) for num in counts.groups()]

    def measure(self, case):
        """The four figures of one repetition"""
        times = max(8, ENOUGH // case.commands)
        few = self.run(case, 2)
        more = self.run(case, 2 + times)
        return [(b - a) / times for a, b in zip(few, more)]


def figures_of(runner, case):
    """Of one command, or of one repetition where that is the command"""
    instructions, calls, _, entries = runner.measure(case)
    return {
        'instructions': round(instructions / case.per, 1),
        'calls': round(calls / case.per, 4),
        'entries': round(entries / case.per, 4),
    }


def show(runner, cases, path):
    """A table, and a file for programs"""
    figures = {}
    print(f'{"case":32} {"instructions":>12} {"calls":>8} {"entries":>8}')
    for case in cases:
        figure = figures[case.name] = figures_of(runner, case)
        print(f'{case.name:32} {figure["instructions"]:12.1f} '
              f'{figure["calls"]:8.4f} {figure["entries"]:8.4f}', flush=True)
    if path:
        with open(path, 'w', encoding='utf-8') as f:
            json.dump(figures, f, indent=1)
            f.write('\n')


def hold(runner, path):
    """TAP: what the file names costs no more than it says"""
    with open(path, encoding='utf-8') as f:
        bounds = json.load(f)
    cases = {case.name: case for case in all_cases()}
    status = 0
    print(f'1..{len(bounds)}', flush=True)
    for number, (name, bound) in enumerate(bounds.items(), 1):
        figure = figures_of(runner, cases[name])
        above = [f'{kind} {figure[kind]} above {most}'
                 for kind, most in bound.items() if figure[kind] > most]
        status |= bool(above)
        print(f'{"not ok" if above else "ok"} {number} - {name} '
              f'{", ".join(above) or figure}', flush=True)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--obj', required=True,
                        help='where the emulators were built')
    parser.add_argument('--json', help='a file for the figures')
    parser.add_argument('--bounds', help='hold these instead, and print TAP')
    parser.add_argument('--list', action='store_true',
                        help='the names of all cases')
    parser.add_argument('cases', nargs='*', metavar='CASE',
                        help='some of them, or beginnings of their names')
    args = parser.parse_args()

    cases = [case for case in all_cases() if not args.cases or
             any(case.name.startswith(name) for name in args.cases)]
    if not cases:
        parser.error('no such case; --list shows them')
    if args.list:
        print('\n'.join(case.name for case in cases))
        return 0
    if not shutil.which('valgrind'):
        if args.bounds:
            print('1..0 # SKIP valgrind is not installed')
            return 0
        parser.error('valgrind counts the instructions: install it')
    with tempfile.TemporaryDirectory() as work:
        runner = Runner(args.obj, work)
        if args.bounds:
            return hold(runner, args.bounds)
        show(runner, cases, args.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
