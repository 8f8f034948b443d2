#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What qemu-nested-check says of hosts that the model plays.  Prints TAP.
#
#   nested-check.py QEMU-NESTED-CHECK MODEL

import json
import os
import subprocess
import sys
import tempfile

DEV = '0000:01:00.0'
DEV2 = '0000:02:00.0'
SM = 'intel_iommu=on,sm_on'
ECAP = 0x1cd9ca4f000df          # of the model's host that can do everything

VTD = ['[host]', 'arch=vtd']
SMMU = ['[host]', 'arch=smmuv3']
DEVICE = [f'[device {DEV}]']


# Nothing that can be done: other hardware
NO_REMEDY = ('dmar0/nesting', 'dmar0/first-stage', f'{DEV}/hardware-info',
             'smmu3.0x0000000009050000/stage-2', 'host/iommu',
             'ivhd0/registers', '0000:0f:00.0/device')


class Host:
    """A host, and what is to be said: exit status, obstacle of the first
    device (None: it nests; '?': not tried), results by 'subject/check'"""

    def __init__(self, name, config, status, obstacle, *, expect=None,
                 kernel='7.3.0', cmdline=SM, args=(), caps=True, limit=None):
        self.name = name
        self.config = config
        self.status = status
        self.obstacle = obstacle
        self.expect = expect or {}
        self.kernel = kernel
        self.cmdline = cmdline
        self.args = list(args)
        self.caps = caps
        self.limit = limit


def ecap(lacks):
    return ['[iommu 0]', f'ecap={ECAP & ~lacks:#x}']


PORT = [f'[device {DEV2}]', 'group=7', 'class=0x060400', 'bound=off']

HOSTS = [
    Host('VT-d that can do everything', VTD + DEVICE, 0, None, expect={
        'host/kernel': 'ok', 'host/kernel-options': 'ok', 'host/iommu': 'ok',
        'host/iommufd': 'ok', 'host/locked-memory': 'ok',
        'dmar0/scalable-mode': 'ok', 'dmar0/nesting': 'ok',
        'dmar0/first-stage': 'ok', 'dmar0/page-requests': 'ok',
        f'{DEV}/group': 'ok', f'{DEV}/ats': 'ok', f'{DEV}/pasid': 'ok',
        f'{DEV}/page-requests': 'ok', f'{DEV}/reset': 'ok',
        f'{DEV}/nesting-parent': 'ok', f'{DEV}/pasid-in-use': 'ok'}),
    Host('VT-d without nested translation', VTD + ecap(1 << 26) + DEVICE, 1,
         'nesting', expect={'dmar0/nesting': 'no', 'dmar0/first-stage': 'ok',
                            f'{DEV}/nesting-parent': 'no'}),
    Host('VT-d without first-stage tables', VTD + ecap(1 << 47) + DEVICE, 1,
         'first-stage', expect={'dmar0/first-stage': 'no'}),
    Host('VT-d without options', VTD + ecap(1 << 40 | 1 << 2 | 1 << 29) +
         DEVICE, 0, None, expect={
             'dmar0/pasid': 'warn', 'dmar0/ats': 'warn',
             'dmar0/page-requests': 'warn', f'{DEV}/pasid-in-use': 'warn',
             'dmar0/pasid-width': None}),
    Host('VT-d with scalable mode off', VTD + ['scalable-mode=off'] + DEVICE,
         1, 'nesting-parent', cmdline='quiet intel_iommu=on,sm_off',
         expect={'host/kernel-options': 'no', f'{DEV}/nesting-parent': 'no'}),
    Host('a kernel before nesting', VTD + ['kernel=no-nesting'] + DEVICE, 1,
         'nesting-parent', kernel='6.1.0-18-amd64',
         expect={'host/kernel': 'warn'}),
    Host('a kernel before nested PASIDs', VTD + ['kernel=no-pasid-attach'] +
         DEVICE, 0, None, kernel='6.12.9',
         expect={'host/kernel': 'warn', f'{DEV}/pasid-in-use': 'warn'}),
    Host('interrupts that are not remapped', VTD + DEVICE + ['viable=off'], 1,
         'bind', cmdline=SM + ' intremap=off',
         expect={'host/kernel-options': 'no', f'{DEV}/bind': 'no'}),
    Host('ATS that the kernel leaves off', VTD + DEVICE + ['host-ats=off'], 0,
         None, cmdline=SM + ' pci=nomsi,noats',
         expect={'host/kernel-options': 'warn', f'{DEV}/ats': 'ok',
                 f'{DEV}/ats-in-use': 'warn'}),
    Host('a poor device', VTD + DEVICE + [
        'ats=off', 'pri=off', 'pasid-bits=0',
        'reserved=0x1000000-0x1ffffff'], 0, None, expect={
            f'{DEV}/ats': 'warn', f'{DEV}/page-requests': 'warn',
            f'{DEV}/pasid': 'warn', f'{DEV}/ats-in-use': None,
            f'{DEV}/reserved-regions': 'warn'}),
    Host('a virtual function', VTD + DEVICE + ['vf=on', 'pf-pri=on'], 0, None,
         expect={f'{DEV}/page-requests': 'warn', f'{DEV}/pasid': 'ok'}),
    Host('two devices of a group', VTD + DEVICE + [
        'group=7', f'[device {DEV2}]', 'group=7'], 0, None,
         expect={f'{DEV}/group': 'warn', f'{DEV2}/group': 'warn'}),
    Host('a port in the group', VTD + DEVICE + ['group=7'] + PORT, 0, None,
         expect={f'{DEV}/group': 'ok'}),
    Host('a device of a driver of the host', VTD + DEVICE + ['bound=off'], 3,
         '?', expect={f'{DEV}/driver': 'unknown', f'{DEV}/bind': None}),
    Host('one to try, one not', VTD + DEVICE + [
        f'[device {DEV2}]', 'bound=off'], 0, None),
    Host('both are asked for', VTD + DEVICE + [
        f'[device {DEV2}]', 'bound=off'], 3, None, args=[DEV, DEV2]),
    Host('nothing is tried', VTD + DEVICE, 3, '?', args=['--no-try'],
         expect={f'{DEV}/nesting-parent': None}),
    Host('nothing is tried, but there is no need to', VTD + ecap(1 << 26) +
         DEVICE, 1, 'nesting', args=['--no-try']),
    Host('a device that is not there', VTD + DEVICE, 1, 'device',
         args=['0000:0f:00.0']),
    Host('SMMUv3 that can do everything', SMMU + DEVICE, 0, None, cmdline='',
         expect={'smmu3.0x0000000009050000/stage-1': 'ok',
                 'smmu3.0x0000000009050000/fwb': 'ok',
                 'smmu3.0x0000000009050000/pages': 'ok',
                 f'{DEV}/page-requests': 'warn',
                 f'{DEV}/nesting-parent': 'ok', f'{DEV}/viommu': 'ok'}),
    Host('SMMUv3 with a port in the group', SMMU + DEVICE + ['group=7'] +
         PORT, 1, 'group', cmdline='', expect={f'{DEV}/group': 'no'}),
    Host('SMMUv3 without S2FWB', SMMU + ['[iommu 0]', 'fwb=off'] + DEVICE, 1,
         'viommu', expect={'smmu3.0x0000000009050000/fwb': 'warn'}),
    Host('SMMUv3 with one stage', SMMU + ['[iommu 0]', 'idr0=0xd4c149a'] +
         DEVICE, 1, 'stage-2',
         expect={'smmu3.0x0000000009050000/stage-2': 'no'}),
    Host('SMMUv3 whose registers nobody tells', SMMU + DEVICE + ['bound=off'],
         3, '?',
         expect={'smmu3.0x0000000009050000/registers': 'unknown'}),
    Host('a kernel without vIOMMUs', SMMU + ['kernel=no-viommu'] + DEVICE, 1,
         'viommu', kernel='6.12.0', expect={'host/kernel': 'warn'}),
    Host('AMD', ['[host]', 'arch=amd'] + DEVICE, 1, 'registers',
         expect={'host/iommu': 'no', 'ivhd0/registers': 'no'}),
    Host('an ordinary user', VTD + DEVICE, 0, None, caps=False,
         limit=8 << 20, expect={'host/locked-memory': 'warn'}),
]


def run(program, model, host, directory, args):
    for name, text in (('sys/kernel/osrelease', host.kernel),
                       ('cmdline', host.cmdline),
                       ('self/status', 'Name:\tx\nCapEff:\t'
                        f'{0x1ffffffffff if host.caps else 0:016x}\n')):
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='ascii') as out:
            out.write(text + '\n')
    command = [program, '--proc', directory, *args, *host.args]
    if host.limit:
        command = ['prlimit', f'--memlock={host.limit}:{host.limit}',
                   *command]
    env = dict(os.environ, LD_PRELOAD=model,
               IOMMUFD_MODEL_CONFIG=';'.join(host.config))
    return subprocess.run(command, env=env, capture_output=True, text=True,
                          timeout=60, check=False)


def complaints(host, done, text):
    """Differences from what is to be said"""
    if done.returncode != host.status:
        yield f'status {done.returncode}, not {host.status}: {done.stderr}'
        return
    said = json.loads(done.stdout)
    results = {}
    for check in said['checks']:
        key = f"{check['subject']}/{check['check']}"
        results.setdefault(key, check['result'])
        if check['result'] == 'no' and 'remedy' not in check and \
                key not in NO_REMEDY:
            yield f'{key} is a no without a word about what to do'
    for key, result in host.expect.items():
        if results.get(key) != result:
            yield f'{key} is {results.get(key)}, not {result}'
    device = said['devices'][0]
    nests = {None: 'yes', '?': 'unknown'}.get(host.obstacle, 'no')
    if device['nests'] != nests:
        yield f"{device['address']}: nests: {device['nests']}, not {nests}"
    if nests == 'no' and device.get('obstacle') != host.obstacle:
        yield f"obstacle {device.get('obstacle')}, not {host.obstacle}"
    if text.returncode != host.status:
        yield f'as text: status {text.returncode}'
    for check in said['checks']:
        if check['detail'] not in text.stdout:
            yield f"'{check['detail']}' is not in the text"


def usage(program):
    for args, status in ((['--help'], 0), (['--what'], 2), (['01:00.0'], 2),
                         (['0000:01:00.0x'], 2), (['--proc'], 2)):
        done = subprocess.run([program, *args], capture_output=True,
                              text=True, timeout=60, check=False)
        if done.returncode != status or not done.stdout + done.stderr:
            yield f'{args}: status {done.returncode}, not {status}'


def no_iommufd(program, model):
    """The model without a host hides /dev/iommu"""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith('IOMMUFD_MODEL')}
    done = subprocess.run([program, '--json'], env=dict(env, LD_PRELOAD=model),
                          capture_output=True, text=True, timeout=60,
                          check=False)
    said = [c for c in json.loads(done.stdout)['checks']
            if c['check'] == 'iommufd']
    if done.returncode != 1 or len(said) != 1 or \
            said[0]['result'] != 'no' or 'CONFIG_IOMMUFD' not in \
            said[0]['remedy']:
        yield f'status {done.returncode}: {said}'


def main():
    program, model = sys.argv[1:]
    bad = 0
    print(f'1..{len(HOSTS) + 2}')
    for number, host in enumerate(HOSTS, 1):
        with tempfile.TemporaryDirectory() as directory:
            found = list(complaints(
                host, run(program, model, host, directory, ['--json']),
                run(program, model, host, directory, [])))
        bad += bool(found)
        print(f"{'not ' if found else ''}ok {number} - {host.name}")
        for line in found:
            print(f'# {line}')
    for number, (name, found) in enumerate((
            ('arguments', list(usage(program))),
            ('no /dev/iommu', list(no_iommufd(program, model)))),
            len(HOSTS) + 1):
        bad += bool(found)
        print(f"{'not ' if found else ''}ok {number} - {name}")
        for line in found:
            print(f'# {line}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
