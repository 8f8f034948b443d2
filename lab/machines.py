# SPDX-License-Identifier: GPL-2.0-or-later
"""The architectures of the lab: what is built how, and the emulated host"""

import os
import sys


class X86:
    """VT-d"""
    name = 'x86_64'
    image = 'bzImage'
    compiler = ['cc']
    strip = 'strip'
    # What is built before anything is packed
    builders = ('kernel.sh',)
    static = False
    # Whether its scenarios are run only when asked for: a kernel of its own
    costly = False
    qemu = 'qemu-system-x86_64'
    firmware = ('bios-256k.bin', 'kvmvapic.bin', 'linuxboot_dma.bin')
    # On a busy machine, clocks of an emulated one do not pass the kernel's
    # checks
    kernel_words = ['console=ttyS0', 'panic=-1', 'no_timer_check']

    def __init__(self, build):
        self.build = build
        self.folder = os.path.join(build, 'lab', self.name)

    def host_qemu(self):
        """The emulated host"""
        return os.path.join(self.build, 'obj', self.qemu)

    def guest_qemu(self):
        """What runs in L1"""
        return self.host_qemu()

    def busybox(self):
        if not os.path.exists('/bin/busybox'):
            sys.exit('qemu-nested: error: no /bin/busybox: install package '
                     "'busybox-static'")
        return '/bin/busybox'

    def firmware_files(self):
        data = os.path.join(self.build,
                            'obj/qemu-bundle/usr/local/share/qemu')
        return [os.path.join(data, name) for name in self.firmware]

    def host_options(self):
        return ['-M', 'q35',
                # The first stage of VT-d has to have the levels of the CPU's
                # tables: four here, five in scenario vsva
                '-cpu', 'max,la57=off',
                '-device', 'intel-iommu,host-nesting=on,x-scalable-mode=on,'
                           'x-pasid-mode=on,device-iotlb=on,intremap=on,'
                           'eim=on,host-keep=on']


class Arm(X86):
    """SMMUv3"""
    name = 'arm64'
    image = 'Image'
    strip = 'aarch64-linux-gnu-strip'
    builders = ('kernel.sh', 'qemu-arm64.sh')
    static = True
    qemu = 'qemu-system-aarch64'
    kernel_words = ['console=ttyAMA0', 'panic=-1']

    def sysroot(self):
        """As lab/kernel.sh has left it"""
        return os.path.realpath(os.path.join(self.folder, 'sysroot'))

    @property
    def compiler(self):
        return ['aarch64-linux-gnu-gcc', '--sysroot=' + self.sysroot()]

    def guest_qemu(self):
        """As lab/qemu-arm64.sh has left it: another one than the host's"""
        return os.path.join(self.folder, 'obj', self.qemu)

    def busybox(self):
        return os.path.join(self.sysroot(), 'bin/busybox')

    def firmware_files(self):
        path = '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd'
        if not os.path.exists(path):
            sys.exit(f'qemu-nested: error: no {path}: install package '
                     "'qemu-efi-aarch64'")
        return [path]

    def host_options(self):
        return ['-M', 'virt,virtualization=on,gic-version=3,iommu=smmuv3',
                # Linux shares a process' tables with an SMMU that has all
                # the address bits of the CPU: no "max"
                # 48 address bits, like most servers
                '-cpu', 'neoverse-n1',
                '-global', 'arm-smmuv3.host-oas=48',
                '-global', 'arm-smmuv3.stage=nested',
                '-global', 'arm-smmuv3.host-fwb=on',
                '-global', 'arm-smmuv3.host-ssidsize=16',
                '-global', 'arm-smmuv3.host-ats=on',
                '-global', 'arm-smmuv3.host-keep=on']


class Arm64k(Arm):
    """SMMUv3, and pages of 64 KiB in L1 and L2"""
    name = 'arm64-64k'
    costly = True

    def guest_qemu(self):
        return os.path.join(self.build, 'lab', Arm.name, 'obj', self.qemu)


MACHINES = {machine.name: machine for machine in (X86, Arm, Arm64k)}
