# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make check-upstream": those of QEMU's own tests that touch what our patches
# touch, run on our binaries.  One that fails is run again on binaries of the
# unpatched base, built only then: what fails there too is not ours to report.

import json
import os
import subprocess
import sys

UNIT = [
    'check-qom-interface', 'check-qom-proplist', 'test-interval-tree',
    'test-qdev-global-props', 'test-qmp-cmds', 'test-qmp-event',
    'test-resv-mem', 'test-vmstate', 'test-xbzrle',
]

QTESTS = {
    'x86_64': [
        'device-introspect-test', 'device-plug-test', 'intel-iommu-test',
        'machine-none-test', 'migration-test', 'q35-test', 'qmp-cmd-test',
        'qmp-test', 'qom-test', 'qos-test', 'test-hmp', 'cxl-test',
        'upstream-acpi-oem-fields', 'upstream-acpi-cpuhp',
        'upstream-acpi-numamem',
    ],
    'aarch64': [
        'device-introspect-test', 'machine-none-test', 'migration-test',
        'numa-test', 'qmp-cmd-test', 'qmp-test', 'qom-test', 'qos-test',
        'test-hmp', 'upstream-acpi-smmuv3-legacy', 'upstream-acpi-smmuv3-dev',
    ],
}


def introspect(obj, what):
    run = subprocess.run([os.path.join(obj, 'pyvenv/bin/meson'),
                          'introspect', what, obj],
                         stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout)


def all_names():
    names = list(UNIT)
    for target, tests in QTESTS.items():
        names += [f'qtest-{target}/{test}' for test in tests]
    return names


def wanted(obj):
    """Their names as meson knows them; one that is missing is an error"""
    there = {test['name'] for test in introspect(obj, '--tests')}
    return [n for n in all_names() if n in there], \
           [n for n in all_names() if n not in there]


def meson_test(obj, names, jobs, log):
    """Run tests by name: {name: (passed?, TAP text)}"""
    path = os.path.join(obj, 'meson-logs', log + '.json')
    if os.path.exists(path):
        os.unlink(path)
    run = subprocess.run([os.path.join(obj, 'pyvenv/bin/meson'), 'test',
                          '-C', obj, '--no-rebuild', '--logbase', log,
                          '--num-processes', str(jobs)] + names,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    found = {}
    if os.path.exists(path):
        with open(path, encoding='utf-8') as lines:
            for line in lines:
                test = json.loads(line)
                name = test['name'].split(' / ')[-1]
                found[name] = (test['result'] in ('OK', 'SKIP'),
                               (test.get('stdout') or '') +
                               (test.get('stderr') or ''),
                               test.get('stdout') or '')
    else:
        print(run.stdout[-4000:])
    return found


def base_tree(top, build):
    """The unpatched base beside ours, configured alike and built"""
    base = os.path.join(build, 'upstream-base')
    args = ['--slim', '--base-only', '--build-dir=' + base]
    with open(os.path.join(build, 'configure.args'), encoding='utf-8') as f:
        args += [line.strip() for line in f
                 if line.startswith(('--cache-dir=', '--qemu-src=',
                                     '--python=', '--qemu-git-url='))]
    for cmd in ([os.path.join(top, 'configure')] + args,
                ['ninja', '-C', os.path.join(base, 'obj')]):
        run = subprocess.run(cmd, stdout=subprocess.DEVNULL, check=False)
        if run.returncode:
            sys.exit('qemu-nested: error: the unpatched base does not build;'
                     ' run: ' + ' '.join(cmd))
    return os.path.join(base, 'obj')


def run(top, build, jobs, results):
    obj = os.path.join(build, 'obj')
    names, missing = wanted(obj)
    results.failed += [f'{name}: not built in this configuration'
                       for name in missing]
    ours = meson_test(obj, names, jobs, 'nested-upstream')
    suspects = [n for n in names if not ours.get(n, (False,))[0]]
    theirs = {}
    if suspects:
        print('upstream: these fail; trying the unpatched base: ' +
              ' '.join(suspects))
        theirs = meson_test(base_tree(top, build), suspects, jobs,
                            'nested-upstream')
    for name in names:
        good, text, tap = ours.get(name, (False, 'did not run', ''))
        if good:
            results.add_tap(name, tap, True)
        elif name in theirs and not theirs[name][0]:
            results.skipped.append(f'{name}: # SKIP fails in the unpatched'
                                   ' base as well')
        else:
            print(f'---- {name} (passes in the unpatched base)\n'
                  + text[-4000:])
            results.add_tap(name, tap, False)
