# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests of tests/guests/run"""

import dataclasses

# States of x-query-nested-iommu
STAGE1 = 'stage1'
BYPASS = 'bypass'
SHADOW = 'shadow'

Q35 = '-M q35 -device intel-iommu,nested=on'
VIRT = '-M virt,gic-version=3 -cpu cortex-a57' \
       ' -device arm-smmuv3,primary-bus=pcie.0,nested=on'
# On a busy machine, clocks of an emulated one do not pass the kernel's checks
LINUX = 'panic=-1 no_timer_check'


@dataclasses.dataclass
class Row:
    """
    suite, arch: what Debian names the kernel by
    bus: where the disk is plugged
    state: what the disk has to be in, and with what the guest sees of it
    stderr: patterns of the lines that QEMU prints, all of them
    """
    name: str
    title: str
    suite: str
    arch: str = 'amd64'
    machine: str = Q35
    bus: str = 'rp0'
    words: str = ''
    console: str = 'console=ttyS0 ' + LINUX
    state: str = STAGE1
    stderr: tuple = ()
    efi: bool = False
    xen: str = ''
    xen_words: str = ''
    timeout: int = 150


def arm(name, title, suite, iommu='', **more):
    return Row(name, title, suite, arch='arm64', machine=VIRT + iommu,
               console='console=ttyAMA0 ' + LINUX, **more)


SM = 'intel_iommu=on,sm_on'
LEGACY = 'intel_iommu=on,sm_off'

GUESTS = [
    Row('x86-6.1', 'Debian 12, scalable mode,', 'bookworm', words=SM),
    Row('x86-6.12', 'Debian 13, scalable mode,', 'trixie', words=SM),
    Row('x86-newest', 'the newest Debian has, scalable mode,', 'newest',
        words=SM),
    Row('x86-pt', 'Debian 13, scalable mode, pass-through,', 'trixie',
        words=SM + ' iommu=pt', state=BYPASS),
    Row('x86-legacy', 'Debian 12, legacy mode,', 'bookworm', words=LEGACY,
        state=SHADOW),
    Row('x86-legacy-pt', 'Debian 12, legacy mode, pass-through,', 'bookworm',
        words=LEGACY + ' iommu=pt', state=BYPASS),
    Row('xen', 'Xen 4.17 with Debian 12 as dom0,', 'bookworm',
        xen='xen-hypervisor-4.17-amd64',
        xen_words='console=com1 com1=115200,8n1 iommu=verbose dom0_mem=512M',
        console='console=hvc0 ' + LINUX, state=SHADOW),
    # With a device tree it does not map the window of MSIs: smmuv3-nested.rst
    arm('arm-6.1', 'Debian 12, UEFI,', 'bookworm', efi=True),
    # Port and disk are one group: what that takes is there, too
    arm('arm-6.12-port', 'Debian 13, device tree, root port,', 'trixie',
        iommu=',ats=off'),
    arm('arm-newest-dt', 'the newest Debian has, device tree,', 'newest'),
    arm('arm-6.12', 'Debian 13, UEFI,', 'trixie', efi=True),
    arm('arm-newest', 'the newest Debian has, UEFI,', 'newest', efi=True),
]
