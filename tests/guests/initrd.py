# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs of a guest: busybox, our init, the drivers that it needs"""

import glob
import lzma
import os
import re
import stat

from initramfs import Cpio

# xen_privcmd: for kexec on Xen
WANTED = 'nvme', 'xen_privcmd'


def modules(folder):
    """Files of a kernel's modules by name"""
    found = {}
    for path in glob.glob(os.path.join(folder, '**/*.ko*'), recursive=True):
        name = os.path.basename(path).split('.ko')[0]
        found[name.replace('-', '_')] = path
    return found


def content(path):
    opener = lzma.open if path.endswith('.xz') else open
    with opener(path, 'rb') as data:
        return data.read()


def in_order(known, name, order):
    """@name with all it depends on, which comes first, into @order"""
    if name in order or name not in known:
        # What has no file is built in
        return
    data = content(known[name])
    depends = re.search(rb'(?:^|\0)depends=([^\0]*)\0', data)
    for other in filter(None, depends[1].decode().split(',')):
        in_order(known, other.replace('-', '_'), order)
    order[name] = data


def make(path, busybox, kernel, init, patience, others):
    """
    Of the kernel whose files are below @kernel. The driver waits so many
    seconds for an answer. @others: files by their names in it.
    """
    order = {}
    known = modules(kernel)
    for wanted in WANTED:
        in_order(known, wanted, order)
    cpio = Cpio(path)
    for name in ('dev', 'proc', 'sys', 'tmp', 'modules'):
        cpio.folder(name)
    cpio.entry('dev/console', stat.S_IFCHR | 0o600, rdev=(5, 1))
    cpio.file('bin/busybox', busybox)
    cpio.file('init', init)
    for name, source in others.items():
        cpio.file(name, source)
    for name, data in order.items():
        cpio.entry(f'modules/{name}', stat.S_IFREG | 0o644, data)
    cpio.entry('modules/order', stat.S_IFREG | 0o644,
               ''.join(name + (f' admin_timeout={patience}'
                               if name == 'nvme_core' else '') + '\n'
                       for name in order).encode())
    cpio.close()
