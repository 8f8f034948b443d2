# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests of tests/guests/run"""

import dataclasses

# States of x-query-nested-iommu
STAGE1 = 'stage1'
STAGE2 = 'stage2'
BYPASS = 'bypass'
SHADOW = 'shadow'

Q35 = '-M q35 -device intel-iommu,nested=on'
VIRT = '-M virt,gic-version=3 -cpu cortex-a57' \
       ' -device arm-smmuv3,primary-bus=pcie.0,nested=on'
# On a busy machine, clocks of an emulated one do not pass the kernel's checks
LINUX = 'panic=-1 no_timer_check'
XEN = 'console=com1 com1=115200,8n1 iommu=verbose dom0_mem=512M'

# How a link is started, and init's word for it
BOOT = 'boot'
KEXEC = 'kexec'
CRASH = 'crash'
XEN_KEXEC = 'xen'


@dataclasses.dataclass
class Link:
    """
    A kernel, started by the one before it unless it is the first (BOOT)

    state: as in a Row
    dma: what the one before it let the device reach, which goes on after a
         crash, is reached until there is a driver again
    """
    how: str
    words: str
    state: str
    dma: bool = False


@dataclasses.dataclass
class Row:
    """
    suite, arch: what Debian names the kernel by
    bus: where the disk is plugged
    state: what the disk has to be in, and with what the guest sees of it
    stderr: patterns of the lines that QEMU prints, all of them
    xen: the package of it, the first unless a link says XEN_KEXEC
    links: kernels that are started one after the other
    """
    name: str
    title: str
    suite: str
    arch: str = 'amd64'
    machine: str = Q35
    bus: str = 'rp0'
    words: str = ''
    state: str = STAGE1
    stderr: tuple = ()
    efi: bool = False
    xen: str = ''
    links: tuple = ()
    timeout: int = 150

    def all_links(self):
        """The first kernel, and @links"""
        return Link(BOOT, self.words, self.state), *self.links

    def on_xen(self, link):
        """Whether that kernel is Xen's dom0"""
        return link.how == XEN_KEXEC or link.how == BOOT and self.xen and \
            all(link.how != XEN_KEXEC for link in self.links)

    def command_line(self, link):
        """Of that Linux"""
        tty = 'hvc0' if self.on_xen(link) else \
            {'amd64': 'ttyS0', 'arm64': 'ttyAMA0'}[self.arch]
        return f'console={tty} {LINUX} {link.words}' + \
            (' wait=1' if link.dma else '')


def arm(name, title, suite, iommu='', **more):
    return Row(name, title, suite, arch='arm64', machine=VIRT + iommu, **more)


# Invalidated at once, and addresses of more than 32 bits
STRICT = ' iommu.strict=1 iommu.forcedac=1'
SM = 'intel_iommu=on,sm_on'
LEGACY = 'intel_iommu=on,sm_off'
CRASHKERNEL = ' crashkernel=256M'

GUESTS = [
    Row('x86-6.1', 'Debian 12, scalable mode,', 'bookworm', words=SM),
    Row('x86-6.12', 'Debian 13, scalable mode,', 'trixie', words=SM),
    Row('x86-newest', 'the newest Debian has, scalable mode,', 'newest',
        words=SM),
    Row('x86-pt', 'Debian 13, scalable mode, pass-through,', 'trixie',
        words=SM + ' iommu=pt', state=BYPASS),
    Row('x86-legacy', 'Debian 12, legacy mode,', 'bookworm', words=LEGACY,
        state=SHADOW),
    Row('x86-strict', 'Debian 13, scalable mode, strict,', 'trixie',
        words=SM + STRICT),
    Row('x86-legacy-strict', 'Debian 13, legacy mode, strict, small pages,',
        'trixie', words=LEGACY + ',sp_off' + STRICT, state=SHADOW),
    Row('x86-legacy-pt', 'Debian 12, legacy mode, pass-through,', 'bookworm',
        words=LEGACY + ' iommu=pt', state=BYPASS),
    # Xen leaves translation on
    Row('xen', 'Xen 4.17 with Debian 12 as dom0, then that alone,', 'bookworm',
        xen='xen-hypervisor-4.17-amd64', state=SHADOW,
        links=(Link(KEXEC, SM, STAGE1),)),
    Row('x86-kexec', 'Debian 12, from mode to mode by kexec,', 'bookworm',
        words=SM, links=(Link(KEXEC, LEGACY, SHADOW),
                         Link(KEXEC, 'intel_iommu=off', STAGE2),
                         Link(KEXEC, SM + ' iommu=pt', BYPASS),
                         Link(KEXEC, SM + ' iommu.strict=1', STAGE1))),
    Row('x86-crash', 'the newest Debian has, crash in scalable mode,', 'newest',
        words=SM + CRASHKERNEL, links=(Link(CRASH, SM, STAGE1, dma=True),)),
    Row('x86-legacy-crash', 'Debian 12, crash in legacy mode,', 'bookworm',
        words=LEGACY + CRASHKERNEL, state=SHADOW,
        links=(Link(CRASH, LEGACY, SHADOW, dma=True),)),
    Row('xen-kexec', 'Debian 13, then Xen 4.20, by kexec,', 'trixie',
        xen='xen-hypervisor-4.20-amd64', words=SM,
        links=(Link(XEN_KEXEC, '', SHADOW),)),
    # With a device tree it does not map the window of MSIs: smmuv3-nested.rst
    arm('arm-6.1', 'Debian 12, UEFI,', 'bookworm', efi=True),
    # Port and disk are one group: what that takes is there, too
    arm('arm-6.12-port', 'Debian 13, device tree, root port,', 'trixie',
        iommu=',ats=off'),
    arm('arm-newest-dt', 'the newest Debian has, device tree,', 'newest'),
    arm('arm-6.12', 'Debian 13, UEFI,', 'trixie', efi=True),
    arm('arm-newest', 'the newest Debian has, UEFI,', 'newest', efi=True),
    arm('arm-kexec', 'Debian 12, UEFI, from mode to mode by kexec,', 'bookworm',
        efi=True, links=(Link(KEXEC, 'iommu.passthrough=1', BYPASS),
                         Link(KEXEC, CRASHKERNEL, STAGE1),
                         Link(CRASH, '', STAGE1))),
]
