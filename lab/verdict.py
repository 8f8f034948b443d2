# SPDX-License-Identifier: GPL-2.0-or-later
"""What the logs of a run say: passed, or why not"""

import os
import re

# A line of dmesg: facility and level, time, text
LOGGED = re.compile(r'lab: kernel <(\d+)>\[ *[0-9.]+\] *(.*)')
WARNING = 4
# Of the conformance program, the kernel's selftests, and vsva
TEST_FAILED = re.compile(r'not ok |\{"test":.*"ok":false')
# Lines of a kernel's console that no scenario may cause unless it says so
BAD = re.compile(
    r'WARNING: |BUG: |\bOops\b|Call Trace:|general protection|Kernel panic'
    r'|possible (circular|recursive)|inconsistent lock|suspicious RCU'
    r'|INFO: task .* blocked|rcu: INFO|soft lockup|hung_task'
    r'|DMAR: .*([Ff]ault|error|time-?out|[Ii]nvalidation)'
    r'|arm-smmu-v3 .*(event|fault|error|GERROR|CMD|[Tt]ime)'
    r'|QI |vfio.*(fail|error|timed? ?out)|AER: (?!enabled)|page request|leak'
    r'|I/O error|nvme.*(timeout|abort)')
# The same, and every message of level warning or worse, but for these: what
# the emulated machine lacks, each with its reason
HARMLESS = [
    re.compile(text) for text in (
        # The debugfs of the IOMMU says at length that it is there
        r'^l\d kernel: (\*\*.*|)$',
        # An emulated clock on a machine that is busy
        r'tsc: Unable to calibrate|TSC calibration failed'
        r'|APIC timer disabled|Could not switch to high resolution'
        r'|Clockevents: could not switch|APIC calibration not consistent'
        # Read too late to be compared with another clock
        r'|watchdog_print_freq_timeout: \d+ callbacks suppressed'
        r'|tsc: PIT calibration deviates from HPET'
        r'|clocksource: Marking clocksource tsc-early unstable'
        r'|clocksource: (Watchdog|Clocksource) +\S+ interval:',
        # A kernel without networks
        r'ACPI: Failed to create genetlink family',
        # An interrupt of the firmware's time
        r'APIC: Stale IRR',
        # The clock as KVM reads it before and after the kernel refines it, and
        # an MSR that QEMU tries
        r'kvm: user requested TSC rate below', r'Unhandled WRMSR\(0xc0010007\)',
        # Said of every root port, and of the machine's device tree
        r'pcieport .* AER: enabled with IRQ',
        r'pci-host-generic .* Memory resource size exceeds max for 32 bits',
        # Said of every reset
        r'(resetting|reset done)$',
        r'DMAR: .*Using Queued invalidation',
    )
]


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding='utf-8',
                  errors='replace') as text:
            return [line.rstrip() for line in text]
    except FileNotFoundError:
        return []


def last_stage(folder):
    """Where a run hung"""
    where = []
    for level in ('l1', 'l2'):
        stages = [line for line in read(folder, level + '.story')
                  if line.startswith('lab: stage')]
        console = [line for line in read(folder, level + '.console') if line]
        if stages:
            where.append(f'{level} got to "{stages[-1][len("lab: stage "):]}"')
        elif console:
            where.append(f'{level} printed "{console[-1]}"')
    return ', '.join(where) or 'L1 printed nothing'


def judge(folder, allow):
    """Problems, none when the scenario passed"""
    allowed = [re.compile(text) for text in allow] + HARMLESS
    problems = []

    def suspect(where, line):
        line = f'{where}: {line}'
        if not any(rule.search(line) for rule in allowed):
            problems.append(line)

    for line in read(folder, 'l0.stderr'):
        suspect('l0', line)
    for level in ('l1', 'l2'):
        printed = set()
        for line in read(folder, level + '.console'):
            if BAD.search(line):
                printed.add(re.sub(r'^\[ *[0-9.]+\] *', '', line))
                suspect(level + ' kernel', line)
        for line in read(folder, level + '.story'):
            message = LOGGED.match(line)
            if message:
                urgency, text = message.groups()
                if text not in printed and \
                        (int(urgency) <= WARNING or BAD.search(text)):
                    suspect(level + ' kernel', text)
            elif line.startswith('lab: fail '):
                problems.append(f'{level}: {line[len("lab: fail "):]}')
            elif TEST_FAILED.match(line):
                problems.append(f'{level}: {line}')
    story = read(folder, 'l1.story')
    if 'lab: exit 0' not in story:
        ends = [line for line in story if line.startswith('lab: exit ')]
        problems.append('l1: ' + (ends[-1][5:] if ends else 'no result'))
    return problems
