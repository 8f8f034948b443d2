# SPDX-License-Identifier: GPL-2.0-or-later
"""
A host with special hardware, as far as a shell sees it: for commands of the
manual that prepare one.  A path that such a host does not have, or words that
a program does not take, make a command fail.
"""

import os
import re
import subprocess
import xml.etree.ElementTree

ADDRESS = '0000:01:00.0'
DEVICE = '/sys/bus/pci/devices/' + ADDRESS

# Linux: Documentation/ABI/testing/sysfs-bus-pci, sysfs-class-iommu-intel-iommu
# and sysfs-devices-vfio-dev; drivers/iommu/iommufd/main.c for /dev/iommu
FILES = {
    DEVICE + '/driver_override': '(null)\n',
    DEVICE + '/driver/unbind': '',
    DEVICE + '/vfio-dev/vfio0/dev': '511:0\n',
    '/sys/bus/pci/drivers_probe': '',
    '/sys/class/iommu/dmar0/intel-iommu/ecap': '1ee9a86f050df\n',
    '/sys/class/iommu/smmu3.0x0000000009050000/devices/' + ADDRESS: '',
    '/dev/iommu': '',
    '/dev/vfio/devices/vfio0': '',
}

# driverctl(8), modprobe(8), udevadm(8), apt(8): what the manual has use for
PROGRAMS = {
    'apt': r'install( \./build/deb/qemu-nested-(common|x86|arm)_\*\.deb)+|'
           r'purge qemu-nested-common',
    'driverctl': rf'set-override {ADDRESS} vfio-pci|unset-override {ADDRESS}',
    'modprobe': r'vfio-pci',
    'udevadm': r'control --reload|trigger( --subsystem-match=[a-z-]+)+',
}


def wanted(command):
    """Is this a command for such a host?"""
    return command.split()[0] in PROGRAMS or \
        re.match(r'(echo|grep|ls) .*/(sys|dev)/', command)


def _files(root):
    return {os.path.join(folder, name)
            for folder, _, names in os.walk(root) for name in names}


def run(command, work):
    """(whether it worked, what it printed)"""
    word, _, rest = command.partition(' ')
    if word in PROGRAMS:
        ok = re.fullmatch(PROGRAMS[word], rest) is not None
        return ok, '' if ok else f'{word}: not as its manual has it'
    root = os.path.join(work, 'host')
    for path, text in FILES.items():
        os.makedirs(root + os.path.dirname(path), exist_ok=True)
        with open(root + path, 'w', encoding='utf-8') as out:
            out.write(text)
    before = _files(root)
    command = re.sub(r'(?<![\w/])/(?=sys/|dev/)', root + '/', command)
    done = subprocess.run(['sh', '-c', command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, check=False)
    new = _files(root) - before
    if new:
        return False, f'there is no such file: {sorted(new)}'
    return done.returncode == 0, done.stdout


def libvirt_command(lines):
    """What QEMU is started with for a domain of libvirt"""
    qemu = '{http://libvirt.org/schemas/domain/qemu/1.0}'
    domain = xml.etree.ElementTree.fromstring('\n'.join(lines))
    os_type = domain.find('os/type')
    memory = domain.find('memory')
    limit = domain.find('memtune/hard_limit')
    if memory.get('unit') != 'GiB' or limit.get('unit') != 'GiB' or \
       int(limit.text) <= int(memory.text):
        raise ValueError('locked memory: no more than the guest has')
    irqchip = domain.find('features/ioapic')
    words = [f'qemu-system-{os_type.get("arch")}', '-M',
             os_type.get('machine') + (',kernel-irqchip=split' if
                                       irqchip.get('driver') == 'qemu' else ''),
             '-accel', domain.get('type'), '-m', memory.text + 'G']
    if domain.find('cpu').get('mode') == 'host-passthrough':
        words += ['-cpu', 'host']
    words += [arg.get('value')
              for arg in domain.find(qemu + 'commandline').findall(qemu +
                                                                   'arg')]
    return ' '.join(words)
