#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Tell what happened in a run of the lab in which vsva ran: a story on standard
output, and with --html one file that a browser shows without anything else.

The logs and their lines are described in docs/nested/lab.rst.
"""

import argparse
import datetime
import json
import math
import os
import re
import statistics
import sys

import verdict

TRACE = re.compile(r'(\S+Z) (iommufd_nested_\w+) (.*)')
GROUP = re.compile(r'(.*): dev_id \d+ pasid (0x[0-9a-f]+) group \d+: '
                   r'(\d+) requests cookie (0x[0-9a-f]+): verdict (-?\d+)')
ANSWER = re.compile(r'(.*): cookie (0x[0-9a-f]+) code (\d+): (-?\d+)')
SUMMED = ('translations', 'tlb_hits', 'invalidations', 'tlb_dropped',
          'requests', 'groups', 'success', 'invalid', 'failure', 'put_off',
          'wait_ns', 'read', 'written', 'descriptors', 'errors')


class ReportError(Exception):
    """The logs cannot be what a run leaves"""


def objects(lines, key):
    """JSON objects that have this member, one a line"""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.startswith('{"' + key + '":'):
            continue
        try:
            found.append(json.loads(line))
        except ValueError as err:
            raise ReportError(f'line {number} is no JSON: {err}: {line}') \
                from err
    return found


class Trace:
    """Page request groups as our QEMU in L1 saw them come and go"""

    def __init__(self, lines):
        self.events = {}
        self.groups = []        # (seconds when it came, until the answer)
        self.largest = 0
        self.unanswered = 0
        waiting = {}
        start = None
        for line in lines:
            match = TRACE.match(line)
            if not match:
                continue
            when = datetime.datetime.fromisoformat(
                match.group(1).replace('Z', '+00:00')).timestamp()
            start = when if start is None else start
            name, text = match.group(2), match.group(3)
            self.events[name] = self.events.get(name, 0) + 1
            group = GROUP.match(text)
            answer = ANSWER.match(text)
            if name == 'iommufd_nested_page_group' and group:
                waiting[(group.group(1), group.group(4))] = when
                self.largest = max(self.largest, int(group.group(3)))
            elif name == 'iommufd_nested_page_answer' and answer:
                came = waiting.pop((answer.group(1), answer.group(2)), None)
                if came is not None:
                    self.groups.append((came - start, when - came))
        self.unanswered = len(waiting)

    def histogram(self):
        """[(from how many us on, how many groups)], by powers of two"""
        buckets = [int(max(took * 1e6, 1)).bit_length() - 1
                   for _, took in self.groups]
        return [(1 << i, buckets.count(i))
                for i in range(min(buckets), max(buckets) + 1)] \
            if buckets else []

    def median_ns(self):
        if not self.groups:
            return None
        return int(statistics.median(t for _, t in self.groups) * 1e9)


def stages(l1_story, l2_story):
    """[(level, seconds on L1's clock, what)], in their order"""
    clocks = [re.match(r'lab: clock ([0-9.]+) l2 ([0-9.]+)$', line)
              for line in l1_story]
    ahead = next((float(m.group(1)) - float(m.group(2))
                  for m in clocks if m), None)
    if ahead is None:
        raise ReportError("L1 has not compared L2's clock with its own")
    found = [(level, float(m.group(1)) + offset, m.group(2))
             for level, offset, lines in (('L1', 0, l1_story),
                                          ('L2', ahead, l2_story))
             for m in (re.match(r'lab: stage ([0-9.]+) (.*)', line)
                       for line in lines) if m]
    return sorted(found, key=lambda stage: stage[1])


class Run:
    """All that is known of one run"""

    def __init__(self, folder):
        story = verdict.read(folder, 'l2.story')
        l1_story = verdict.read(folder, 'l1.story')
        self.tests = objects(story, 'test')
        marks = {o['vsva']: o for o in objects(story, 'vsva')}
        self.begin = marks.get('begin')
        self.end = marks.get('end')
        if not self.end or not (self.tests or 'why' in self.end):
            raise ReportError(f'vsva did not run to its end in {folder}')
        self.sum = {name: sum(t.get(name, 0) for t in self.tests)
                    for name in SUMMED}
        self.longest_ns = max((t.get('wait_max_ns', 0) for t in self.tests),
                              default=0)
        self.stages = stages(l1_story, story)
        self.viommus = []
        for line in l1_story:
            if line.startswith('NESTED-IOMMU '):
                answer = json.loads(line[len('NESTED-IOMMU '):])
                self.viommus = answer.get('return', answer) \
                    if isinstance(answer, dict) else answer
        self.trace = Trace(verdict.read(folder, 'l1.qemu'))

    def ok(self):
        return self.end['ok'] and all(t['ok'] for t in self.tests)

    def test(self, name):
        return next((t for t in self.tests if t['test'] == name), {})

    def counters(self, kind):
        """Of all vIOMMUs"""
        total = {}
        for viommu in self.viommus:
            for item in viommu[kind]:
                total[item['name']] = total.get(item['name'], 0) + \
                    item['value']
        return total

    def legs(self):
        """Where the time of a page request group goes: [(what, ns)]"""
        groups = self.sum['success'] + self.sum['invalid'] + \
            self.sum['failure']
        if not groups:
            return []
        whole = self.sum['wait_ns'] // groups
        inner = self.trace.median_ns()
        if inner is None or inner > whole:
            return [('device → IOMMU → L1 → QEMU → L2, and back', whole)]
        return [('device → IOMMU → L1 → QEMU, and back', whole - inner),
                ('L2: interrupt, page fault, response', inner)]

    def ioctls(self):
        """(call, how often, what it carried), of what QEMU in L1 counted"""
        c = self.counters('counters')
        if not c:
            return []
        return [
            ('IOMMU_HWPT_ALLOC', c['hwpt-made'],
             'a stage 1 of the guest made known to the host'),
            ('VFIO_DEVICE_ATTACH_IOMMUFD_PT', c['attaches'],
             'a device or a PASID switched to it'),
            ('VFIO_DEVICE_DETACH_IOMMUFD_PT', c['detaches'], 'and away'),
            ('IOMMU_HWPT_INVALIDATE', c['inv-ioctls'],
             f'{c["inv-entries"]} entries, at most {c["inv-largest-batch"]} '
             f'at once; {c["inv-redundant"]} more were covered by those'),
            ('read of the fault queue', c['page-groups-in'],
             'page request groups from the host'),
            ('write to it', c['page-groups-answered'],
             "the guest's responses"),
        ]


def duration(ns):
    if ns >= 1e9:
        return f'{ns / 1e9:.2f} s'
    if ns >= 1e6:
        return f'{ns / 1e6:.2f} ms'
    return f'{ns / 1e3:.0f} µs'


def size(count):
    for unit in ('bytes', 'KiB', 'MiB', 'GiB'):
        if count < 10240 or unit == 'GiB':
            return f'{count} {unit}'
        count //= 1024


def verdict_of(test):
    if not test['ok']:
        return 'FAILED: ' + test['why']
    return 'skipped: ' + test['skip'] if 'skip' in test else 'ok'


def checksum_line(run):
    test = run.test('faults')
    if not test.get('crc32c') or not test['ok']:
        return 'no checksum was verified'
    return (f'CRC-32C {test["crc32c"]}, the same from the device and from the '
            f'CPU; {size(test["verified"])} compared byte by byte')


def latencies(run):
    """From a doorbell to its completion: [(which page, (min, median, max))]"""
    test = run.test('latency')
    return [(text, tuple(test[name][key] for key in
                         ('min_ns', 'median_ns', 'max_ns')))
            for name, text in (('untouched', 'never touched'),
                               ('touched', 'known to the device'))
            if name in test]


HARDWARE = [
    'The same, where the host has an IOMMU that nests and a device with ATS,',
    'page requests and PASIDs: docs/nested/real-hardware.rst. In short:',
    '  bind the device to vfio-pci on the host (Linux 6.15 or later), start',
    '  qemu-system-x86_64 -M q35,kernel-irqchip=split -object iommufd,'
    'id=iommufd0 \\',
    '      -device intel-iommu,nested=on -device vfio-pci,host=...,'
    'iommufd=iommufd0',
    '  and use it in the guest as a process would on the host.',
]


def tell_start(run, out):
    out("What was started (time of L1)")
    for level, seconds, text in run.stages:
        out(f'  {level} at {seconds:6.2f} s  {text}')
    if run.begin:
        out(f'  in L2, one process: device {run.begin["device"]}, PASID '
            f'{run.begin["pasid"]}, {run.begin["queues"]} queues')
    out('')
    out('What the process did')
    for test in run.tests:
        out(f'  {test["test"]:<11}{test["us"] / 1e6:8.2f} s'
            f'{test.get("requests", 0):8} page requests  '
            f'{verdict_of(test)}')
    out('')


def tell_faults(run, out):
    total = run.sum
    out('Where page faults went and came back')
    out(f'  {total["requests"]} page requests of the device, in '
        f'{total["groups"]} groups')
    c = run.counters('counters')
    if c:
        out(f'  {c["page-groups-in"]} groups from the fault queue of L1 into'
            f" the guest's queue, {c['page-groups-answered']} answered by L2"
            f', {c["page-groups-refused"]} refused, '
            f'{c["page-groups-expired"]} expired, '
            f'{c["page-groups-dropped"]} dropped')
    out(f'  responses at the device: {total["success"]} Success, '
        f'{total["invalid"]} Invalid Request (asked for by tests), '
        f'{total["failure"]} Failure')
    for what, ns in run.legs():
        out(f'  {duration(ns):>10}  {what}')
    out(f'  {duration(run.longest_ns):>10}  the longest of all')
    out('')
    histogram = run.trace.histogram()
    most = max((count for _, count in histogram), default=1)
    if histogram:
        out('How long L2 took for a group, and for how many of them')
    for start, count in histogram:
        out(f'  {duration(start * 1e3):>10}  {count:6}  '
            + '#' * math.ceil(count * 40 / most))
    if histogram:
        out('')
    out('How long it takes (time of L2, min / median / max)')
    for name, times in latencies(run):
        out(f'  one page, {name}: ' + ' / '.join(map(duration, times)))
    out('')


def tell_host(run, out):
    ioctls = run.ioctls()
    if not ioctls:
        return
    out('What QEMU in L1 asked of its kernel')
    for call, count, text in ioctls:
        out(f'  {count:8} {call}: {text}')
    commands = [f'{n} {v}' for n, v in run.counters('commands').items() if v]
    out('  for these commands of the guest: ' + ', '.join(commands))
    errors = [f'{n} {v}' for n, v in run.counters('errors').items() if v]
    out('  refused by the host: ' + (', '.join(errors) or 'nothing'))
    out(f'  invalidations that reached the device: '
        f'{run.sum["invalidations"]}, dropping {run.sum["tlb_dropped"]} '
        f'translations')
    out('')


def tell(run, out):
    tell_start(run, out)
    tell_faults(run, out)
    tell_host(run, out)
    out('Data')
    out('  ' + checksum_line(run))
    out(f'  {size(run.sum["read"])} read and {size(run.sum["written"])} '
        'written by the device')
    out('')
    for line in HARDWARE:
        out(line)
    out('')
    if 'why' in run.end:
        out('vsva gave up: ' + run.end['why'])
    out(f'Result: {"passed" if run.ok() else "FAILED"}, '
        f'{len(run.tests)} tests')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--html', metavar='FILE',
                        help='write the report there as well')
    parser.add_argument('folder', help='logs of one run')
    args = parser.parse_args()
    try:
        run = Run(args.folder)
    except (ReportError, ValueError, KeyError) as err:
        sys.exit(f'report.py: error: {err}')
    tell(run, print)
    if args.html:
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        import report_html  # pylint: disable=import-outside-toplevel
        with open(args.html, 'w', encoding='utf-8') as out:
            out.write(report_html.page(run, sys.modules[__name__]))
        print(f'Report: {args.html}')
    return 0 if run.ok() else 1


if __name__ == '__main__':
    sys.exit(main())
