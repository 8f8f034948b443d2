#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
initramfs.py BUILD ARCH

Makes BUILD/lab/ARCH/{l2,l1}.cpio.  The one of L2 has busybox, the programs of
the lab, the conformance program and the scripts.  The one of L1 has that as
well, and our QEMU with its libraries and firmware, the kernel and the initramfs
of L2, and the kernel's own selftests.
"""

import glob
import os
import re
import stat
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, 'lab'))

import machines  # noqa: E402  pylint: disable=wrong-import-position

# What the lab's programs are made of, and with
PROGRAMS = {
    'vsva': ['lab/programs/vsva*.c'],
    'iommufd-conformance': ['tests/conformance/*.c'],
    'qemu-nested-check': ['tools/nested-check/*.c'],
}


class Cpio:
    """The "newc" format; see the kernel's initramfs buffer format document"""

    def __init__(self, path):
        # Another run may be at it
        self.new = f'{path}.{os.getpid()}'
        self.out = open(self.new, 'wb')
        self.path = path
        self.inode = 0
        self.known = set()

    def entry(self, name, mode, data=b'', rdev=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev,
                  len(encoded), 0)
        head = b'070701' + b''.join(b'%08x' % f for f in fields) + encoded
        self.out.write(head + bytes(-len(head) % 4))
        self.out.write(data + bytes(-len(data) % 4))

    def folder(self, name):
        if name and name not in self.known:
            self.folder(os.path.dirname(name))
            self.known.add(name)
            self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, source, mode=0o755):
        self.folder(os.path.dirname(name))
        with open(source, 'rb') as data:
            self.entry(name, stat.S_IFREG | mode, data.read())

    def close(self):
        self.entry('TRAILER!!!', 0)
        self.out.close()
        os.rename(self.new, self.path)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f'qemu-nested: error: {" ".join(command)}\n{done.stdout}')
    return done.stdout


def newer(target, sources):
    """Whether target is younger than all of the sources"""
    return os.path.exists(target) and \
        all(os.path.getmtime(s) <= os.path.getmtime(target) for s in sources)


def program(machine, name):
    """Linked statically: an initramfs needs no libraries for it"""
    sources = sorted(s for pattern in PROGRAMS[name]
                     for s in glob.glob(os.path.join(TOP, pattern)))
    headers = glob.glob(os.path.join(TOP, 'lab/programs/*.h')) + \
        glob.glob(os.path.join(TOP, 'tests/conformance/*.h')) + \
        glob.glob(os.path.join(TOP, 'tools/nested-check/*.h'))
    target = os.path.join(machine.folder, name)
    if not newer(target, sources + headers):
        run(*machine.compiler, '-std=gnu11', '-O2', '-Wall', '-static',
            '-pthread', '-I', os.path.join(machine.build, 'src/linux-headers'),
            '-I', os.path.join(TOP, 'include'), '-o', target, *sources)
    return target


def preload(machine, name):
    """A library for QEMU in L1, if that can take one"""
    source = os.path.join(TOP, 'lab/programs', name + '.c')
    target = os.path.join(machine.folder, name + '.so')
    if not newer(target, [source]):
        run(*machine.compiler, '-std=gnu11', '-O2', '-Wall', '-shared',
            '-fPIC', '-I', os.path.join(machine.build, 'src/linux-headers'),
            '-o', target, source)
    return target


def base_system(cpio, machine):
    for name in ('dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'sbin', 'usr/bin',
                 'usr/sbin'):
        cpio.folder(name)
    cpio.entry('dev/console', stat.S_IFCHR | 0o600, rdev=(5, 1))
    cpio.file('bin/busybox', machine.busybox())
    cpio.file('init', os.path.join(TOP, 'lab/guest/init'))
    scripts = glob.glob(os.path.join(TOP, 'lab/scenarios/*.sh')) + \
        glob.glob(os.path.join(TOP, 'lab/guest/*.sh'))
    for path in sorted(scripts):
        cpio.file('lab/' + os.path.basename(path), path)
    for name in sorted(PROGRAMS):
        cpio.file('bin/' + name, program(machine, name))


def libraries(binary):
    """Libraries and the dynamic linker; the vdso is no file"""
    return sorted(set(re.findall(r'(/\S+) \(0x', run('ldd', binary))))


def make_l2(machine):
    path = os.path.join(machine.folder, 'l2.cpio')
    cpio = Cpio(path)
    base_system(cpio, machine)
    cpio.close()
    return path


def make_l1(machine, l2):
    cpio = Cpio(os.path.join(machine.folder, 'l1.cpio'))
    base_system(cpio, machine)
    qemu = machine.guest_qemu()
    stripped = os.path.join(machine.folder, machine.qemu)
    if not newer(stripped, [qemu]):
        run(machine.strip, '-o', stripped, qemu)
    cpio.file('bin/' + machine.qemu, stripped)
    for path in [] if machine.static else libraries(qemu):
        cpio.file(path.lstrip('/'), path)
    if not machine.static:
        cpio.file('lib/omit.so', preload(machine, 'omit'))
    for path in machine.firmware_files():
        cpio.file('usr/share/qemu/' + os.path.basename(path), path, 0o644)
    linux = os.path.join(machine.folder, 'linux')
    cpio.file('lab/kernel', os.path.join(linux, machine.image), 0o644)
    cpio.file('lab/l2.cpio', l2, 0o644)
    for path in sorted(glob.glob(os.path.join(linux, 'selftests/*'))):
        cpio.file('bin/selftest-' + os.path.basename(path), path)
    cpio.close()


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in machines.MACHINES:
        sys.exit('usage: initramfs.py BUILD ' +
                 '|'.join(machines.MACHINES))
    machine = machines.MACHINES[sys.argv[2]](os.path.abspath(sys.argv[1]))
    make_l1(machine, make_l2(machine))


if __name__ == '__main__':
    main()
