# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make check-upstream": those of QEMU's own tests that touch what our patches
# touch, run on our binaries.  One that fails is tried again on what the
# unpatched base builds to, made only then: what fails there too is not ours
# to report.  All of them run without KVM, wherever they are run.

import json
import os
import subprocess
import sys

UNIT = [
    'check-qom-interface', 'check-qom-proplist', 'test-interval-tree',
    'test-qdev-global-props', 'test-qmp-cmds', 'test-qmp-event',
    'test-resv-mem', 'test-vmstate', 'test-xbzrle',
]

# The base's limits are for machines with KVM; migration-test boots its guest
# over and over
SLOW = 3

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


def environment(obj, more=()):
    """What KVM of the machine makes of a test is no finding about our code"""
    return dict(os.environ, LD_PRELOAD=os.path.join(
        obj, 'tests/qtest/nested/libhide-kvm.so'), **dict(more))


def meson_test(obj, names, jobs, log):
    """Run tests by name: {name: (passed?, TAP text)}"""
    path = os.path.join(obj, 'meson-logs', log + '.json')
    if os.path.exists(path):
        os.unlink(path)
    run = subprocess.run([os.path.join(obj, 'pyvenv/bin/meson'), 'test',
                          '-C', obj, '--no-rebuild', '--logbase', log,
                          '--timeout-multiplier', str(SLOW),
                          '--num-processes', str(jobs)] + names,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=environment(obj), text=True, check=False)
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
    """The unpatched base beside ours, configured alike"""
    base = os.path.join(build, 'upstream-base')
    args = ['--slim', '--base-only', '--build-dir=' + base]
    with open(os.path.join(build, 'configure.args'), encoding='utf-8') as f:
        args += [line.strip() for line in f
                 if line.startswith(('--cache-dir=', '--qemu-src=',
                                     '--python=', '--qemu-git-url='))]
    base_step([os.path.join(top, 'configure')] + args)
    return os.path.join(base, 'obj')


def base_step(cmd):
    run = subprocess.run(cmd, stdout=subprocess.DEVNULL, check=False)
    if run.returncode:
        sys.exit('qemu-nested: error: the unpatched base does not build;'
                 ' run: ' + ' '.join(cmd))


def base_passes(test, obj, base):
    """
    Whether a test passes in the base.  A qtest is the same program there: it
    is run from our tree (which knows some that slim leaves out of the base's
    own list) on the base's emulator.  A unit test is the base's own program.
    """
    name = test['name'].split(' / ')[-1]
    env = environment(obj, test['env'])
    if name.startswith('qtest-'):
        emulator = 'qemu-system-' + name.split('/')[0][len('qtest-'):]
        base_step(['ninja', '-C', base, emulator])
        env['QTEST_QEMU_BINARY'] = os.path.join(base, emulator)
        where, cmd = test['workdir'] or obj, test['cmd']
    else:
        base_step(['ninja', '-C', base, 'tests/unit/' + name])
        where = test['workdir'] or base
        cmd = [os.path.join(base, 'tests/unit', name)] + test['cmd'][1:]
    try:
        run = subprocess.run(cmd, cwd=where, env=env, check=False,
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL,
                             timeout=test['timeout'] * SLOW)
    except subprocess.TimeoutExpired:
        return False
    return run.returncode in (0, 77)


def run(top, build, jobs, results):
    obj = os.path.join(build, 'obj')
    names, missing = wanted(obj)
    results.failed += [f'{name}: not built in this configuration'
                       for name in missing]
    ours = meson_test(obj, names, jobs, 'nested-upstream')
    suspects = [n for n in names if not ours.get(n, (False,))[0]]
    theirs = set()
    if suspects:
        print('upstream: these fail; trying the unpatched base: ' +
              ' '.join(suspects))
        base = base_tree(top, build)
        theirs = {test['name'] for test in introspect(obj, '--tests')
                  if test['name'] in suspects
                  and base_passes(test, obj, base)}
    for name in names:
        good, text, tap = ours.get(name, (False, 'did not run', ''))
        if good:
            results.add_tap(name, tap, True)
        elif name not in theirs:
            results.skipped.append(f'{name}: # SKIP fails in the unpatched'
                                   ' base as well')
        else:
            print(f'---- {name} (passes in the unpatched base)\n'
                  + text[-4000:])
            results.add_tap(name, tap, False)
