#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs every command line of README.md and docs/nested, the manual pages' as well,
# and prints TAP.
#
# A command line is a line of a literal block that starts with "$ ", or with
# one of the words in STARTS; one that no rule here can run is a failure, so
# that none is in the manual unseen.  Where a command wants special hardware,
# the model of /dev/iommu stands for it.
#
#   commands.py BUILD      the build tree (configured with --slim)

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

import host

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
STARTS = ('make', './', 'lab/', 'build/obj/qemu', 'qemu-system', 'ninja',
          'cc', 'gcc', 'cd', 'Q=', '$Q', 'IOMMUFD_MODEL', 'LD_PRELOAD', 'socat', 'echo',
          'driverctl', 'modprobe', 'valgrind', 'QTEST_', 'apt ', 'tests/',
          'LAB_', 'qemu-nested-', 'bench/')


def blocks(path):
    """Literal blocks as lists of lines without their indentation"""
    with open(path, encoding='utf-8') as data:
        lines = data.read().splitlines()
    if path.endswith('.1'):
        text = '\n'.join(
            line.replace('@PROGRAM@', 'qemu-system-aarch64'
                         if 'smmu' in line else 'qemu-system-x86_64')
            for line in lines)
        for block in re.findall(r'^\.RS\n(.*?)^\.RE$', text, re.M | re.S):
            yield block.replace('\\-', '-').replace('\\e', '\\').splitlines()
        return
    if path.endswith('.md'):
        inside = None
        for line in lines:
            if line.startswith('```'):
                if inside is not None:
                    yield inside
                inside = [] if inside is None else None
            elif inside is not None:
                inside.append(line)
        return
    i = 0
    while i < len(lines):
        text = lines[i]
        i += 1
        if not (text.endswith('::') or text.startswith('.. code-block::')):
            continue
        margin = len(text) - len(text.lstrip())
        block = []
        while i < len(lines) and (not lines[i].strip() or
                                  len(lines[i]) - len(lines[i].lstrip())
                                  > margin):
            block.append(lines[i])
            i += 1
        full = [line for line in block if line.strip()]
        indent = min((len(line) - len(line.lstrip()) for line in full),
                     default=0)
        yield [line[indent:] for line in block]


def commands(block):
    """(command, the lines that follow it) of one block"""
    block = block[next((i for i, line in enumerate(block) if line), 0):]
    if block and block[0].startswith('<domain '):
        return [('libvirt', block)]
    prompt = any(line.startswith('$ ') for line in block)
    found = []
    i = 0
    while i < len(block):
        line = block[i].rstrip()
        i += 1
        is_command = line.startswith('$ ') if prompt else \
            line.startswith(STARTS)
        if not is_command:
            if found:
                found[-1][1].append(line)
            continue
        line = line[2:] if prompt else line
        while line.endswith('\\') and i < len(block):
            line = line[:-1] + ' ' + block[i].strip()
            i += 1
        found.append((re.sub(r'\s+#.*$', '', line).strip(), []))
    return found


class Runner:
    """Runs the commands of one page, in their order, in a directory"""

    def __init__(self, build, work):
        self.obj = os.path.join(build, 'obj')
        self.src = os.path.join(build, 'src')
        self.build = build
        self.work = work
        self.model = os.path.join(self.obj,
                                  'tests/iommufd-model/libiommufd-model.so')
        self.qemu = None
        self.quilt_ready = False

    def shell(self, command, cwd=TOP, env=None):
        full = dict(os.environ, EDITOR='true', **(env or {}))
        run = subprocess.run(['sh', '-c', command], cwd=cwd, env=full,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, text=True, check=False,
                             timeout=300)
        return run.returncode == 0, run.stdout

    def close(self):
        if self.qemu:
            self.qemu.terminate()
            self.qemu.wait()
            self.qemu = None

    def place(self, text):
        """Names in the manual to where things are in this build tree"""
        return (text.replace('/tmp/t/', self.work + '/')
                .replace('./libiommufd-model.so', self.model)
                .replace('./iommufd-conformance', os.path.join(
                    self.obj, 'tests/conformance/iommufd-conformance'))
                .replace('<qemu>', self.src))

    def run(self, command, output):
        words = command.split()
        if command == 'libvirt':
            return self.run_qemu(host.libvirt_command(output))
        if host.wanted(command):
            return host.run(command, self.work)
        if command.startswith(('QTEST_', '../src/')):
            return self.shell(command, cwd=self.obj)
        if re.search(r'qemu-system-.* \d<>', command):
            return self.run_with_files(command)
        if command.endswith(',help'):
            return self.shell(f'{self.obj}/{command}')
        if 'qemu-system-' in command:
            return self.run_qemu(command)
        if words[0] == 'cat' and output:
            with open(os.path.join(self.work, words[1]), 'w',
                      encoding='utf-8') as out:
                out.write(self.place('\n'.join(output)) + '\n')
            return True, ''
        if words[0] == 'make':
            return self.shell(command.replace('make', 'make -n', 1))
        if words[0].startswith('LAB_'):
            command = command.partition(' ')[2]
            words = command.split()
        if words[0] == 'lab/run':
            return self.shell(command.replace('run', 'run --dry-run', 1))
        if words[0].startswith('bench/'):
            return self.shell(command.replace('build/obj', self.obj))
        if words[0].startswith('tests/'):
            return self.shell(f'bash -n {words[0]}')
        if words[0] == 'ninja':
            return self.shell(f'ninja -C {self.obj} {words[-1]}')
        if words[0] in ('cc', 'gcc'):
            text = self.place(command).replace('-o ', f'-o {self.work}/')
            return self.shell(text, cwd=self.src)
        if 'iommufd-conformance' in command:
            env = {}
            if 'LD_PRELOAD' not in command:
                # On real Linux; here the model is the Linux
                env = {'LD_PRELOAD': self.model,
                       'IOMMUFD_MODEL_CONFIG':
                       '[host];arch=vtd;memlock=rlimit'}
            return self.shell(self.place(command), cwd=self.work, env=env)
        if words[0] == 'qemu-nested-check':
            return self.shell(f'{self.obj}/nested/{command}', env={
                'LD_PRELOAD': self.model,
                'IOMMUFD_MODEL_CONFIG': '[host];arch=vtd'})
        if words[0] == 'qemu-nested-top':
            return self.run_top(command)
        if words[0] in ('cd', '$Q') or words[0].startswith('Q='):
            return self.run_quilt(command)
        if words[0] == 'socat':
            return self.run_socket(self.place(words[-1]), output)
        if words[0] == 'grep':
            return self.shell(self.place(command), cwd=self.work)
        return False, 'no rule in tests/docs/commands.py runs this'

    def run_qemu(self, command):
        """Start it, with the model as its host, until it answers QMP"""
        command = command.rstrip(' &').replace('…', '')
        env = dict(os.environ)
        words = shlex.split(self.place(command))
        while '=' in words[0] and not words[0].startswith('-'):
            name, value = words.pop(0).split('=', 1)
            env[name] = value
        env.setdefault('LD_PRELOAD', self.model)
        arch = 'smmuv3' if 'aarch64' in words[0] else 'vtd'
        if not any(name in env for name in ('IOMMUFD_MODEL',
                                            'IOMMUFD_MODEL_CONFIG')):
            env['IOMMUFD_MODEL_CONFIG'] = f'[host];arch={arch}'
        # Of a package, or of the build tree
        name = os.path.basename(words[0]).removesuffix('-nested')
        words[0] = os.path.join(self.obj, name)
        if not os.access('/dev/kvm', os.W_OK) or \
           not name.endswith(os.uname().machine):
            text = ' '.join(shlex.quote(w) for w in words)
            words = shlex.split(text.replace('-accel kvm', '-accel tcg')
                                .replace('-cpu host', '-cpu max'))
        self.close()
        path = os.path.join(self.work, 'qmp')
        if os.path.exists(path):
            os.unlink(path)
        log = open(os.path.join(self.work, 'qemu.log'), 'w+',
                   encoding='utf-8')
        self.qemu = subprocess.Popen(
            words + ['-S', '-display', 'none', '-serial', 'none',
                     '-monitor', 'none', '-qmp',
                     f'unix:{path},server=on,wait=off'],
            cwd=self.work, env=env, stdout=log, stderr=log)
        ok = False
        for _ in range(600):
            if self.qemu.poll() is not None:
                break
            try:
                with socket.socket(socket.AF_UNIX) as qmp:
                    qmp.settimeout(60)
                    qmp.connect(path)
                    # The greeting comes while devices are still made; an
                    # answer to a command comes from the main loop
                    qmp.sendall(b'{"execute":"qmp_capabilities"}\n'
                                b'{"execute":"query-status"}\n')
                    ok = any(b'"status"' in line
                             for line in qmp.makefile('rb'))
                    break
            except OSError:
                time.sleep(0.1)
        log.seek(0)
        return ok, log.read()

    def run_top(self, command):
        """Two samples of the QEMU of this page; a manual page has none"""
        command = self.place(command)
        if not self.qemu:
            ok, text = self.run_qemu(
                'qemu-system-x86_64 -M q35 -device intel-iommu,nested=on -qmp '
                f'unix:{command.split()[-1]},server=on,wait=off')
            if not ok:
                return ok, text
        command = f'{self.obj}/nested/{command} --interval=0.1 --count=2'
        if '--batch' in command:
            return self.shell(command)
        ok, text = self.shell(f"script -qec '{command}' /dev/null",
                              env={'TERM': 'vt100'})
        return ok and 'intel-iommu' in text, text

    def run_with_files(self, command):
        """
        QEMU with descriptors that a shell has opened. What the model makes
        cannot be handed to another process: QEMU opens the same by itself, and
        that it takes descriptors is for its list of properties to say.
        """
        files = dict(re.findall(r' (\d)<>(\S+)', command))
        command = re.sub(r' \d<>\S+', '', command)
        name = re.search(r'qemu-system-\w+', command).group(0)
        for kind, instead, path in (('object iommufd', '', '/dev/iommu'),
                                    ('device vfio-pci', ',host=0000:01:00.0',
                                     '/dev/vfio/devices/')):
            used = re.search(rf'-{kind}\S*(,fd=(\d))', command)
            if not used or not files.get(used.group(2), '').startswith(path):
                return False, f'{kind}: no descriptor of {path}'
            _, listed = self.shell(f'{self.obj}/{name} -{kind},help')
            if not re.search(r'^ *fd=', listed, re.M):
                return False, listed
            command = command.replace(used.group(1), instead, 1)
        return self.run_qemu(command)

    def run_quilt(self, command):
        queue = os.path.join(self.build, 'queue')
        if not self.quilt_ready:
            # A copy of the patches: what is tried here must not stay
            copy = os.path.join(self.work, 'patches')
            ok, text = self.shell(
                f'scripts/nested/patches.sh edit {self.build} && '
                f'cp -R patches {copy} && cp {self.build}/quiltrc '
                f'{self.work}/quiltrc && sed -i '
                f's,^QUILT_PATCHES=.*,QUILT_PATCHES={copy}, '
                f'{self.work}/quiltrc && '
                # quilt remembers where its patches are
                f'echo {copy} >{queue}/.pc/.quilt_patches')
            if not ok:
                return ok, text
            self.quilt_ready = True
        if not command.startswith('$Q'):
            return True, ''
        command = command.replace('FILE', 'hw/Kconfig')
        ok, text = self.shell(f'Q="quilt --quiltrc={self.work}/quiltrc"; '
                              + command, cwd=queue)
        # 2 from quilt: there was nothing left to do
        return ok or 'at the top' in text or 'fully applied' in text or \
            'Nothing in patch' in text, text

    def run_socket(self, address, output):
        """Lines go by two: what is sent, and the members of the reply"""
        lines = [line for line in output if line.startswith('{')]
        path = address.split(':', 1)[1]
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(60)
            control.connect(path)
            stream = control.makefile('rw')
            for sent, shown in zip(lines[::2], lines[1::2]):
                stream.write(sent + '\n')
                stream.flush()
                got = json.loads(stream.readline())
                if set(got) != set(json.loads(shown)) or not got['ok']:
                    return False, f'{sent}\n{got}\nshown: {shown}'
        return bool(lines), 'no dialogue'


def main():
    build = os.path.abspath(sys.argv[1])
    pages = [os.path.join(TOP, 'README.md')]
    folder = os.path.join(TOP, 'docs/nested')
    pages += [os.path.join(folder, name)
              for name in sorted(os.listdir(folder))
              if name.endswith(('.rst', '.1'))]
    number = 0
    failed = 0
    for page in pages:
        with tempfile.TemporaryDirectory() as work:
            runner = Runner(build, work)
            try:
                for block in blocks(page):
                    for command, output in commands(block):
                        number += 1
                        try:
                            ok, text = runner.run(command, output)
                        except (OSError, ValueError,
                                subprocess.TimeoutExpired) as err:
                            ok, text = False, str(err)
                        failed += not ok
                        name = os.path.relpath(page, TOP)
                        print(f'{"ok" if ok else "not ok"} {number} -'
                              f' {name}: {command[:60]}')
                        if not ok:
                            print('# ' + text[-2000:].replace('\n', '\n# '))
            finally:
                runner.close()
    print(f'1..{number}')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
