#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lab/report.py on logs of a small run, and on such logs damaged.  TAP."""

import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPORT = os.path.join(HERE, '../../lab/report.py')
LOGS = os.path.join(HERE, 'recorded')
# Elements of HTML that have no end, and those of SVG that end at once
VOID = {'meta', 'line', 'path', 'circle'}


class Page(html.parser.HTMLParser):
    """Elements that are not closed, and addresses of anything outside"""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.outside = []
        self.wrong = []
        self.seen = set()
        self.feed(text)
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.outside += [v for n, v in attrs if n in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def check(self, good, what, detail=''):
        self.number += 1
        self.failed += not good
        print(f'{"ok" if good else "not ok"} {self.number} - {what}')
        if not good and detail:
            print('# ' + str(detail).replace('\n', '\n# '))

    def has(self, text, pattern, what):
        self.check(re.search(pattern, text, re.M), what, text)


def report(folder, *words):
    run = subprocess.run([sys.executable, REPORT, *words, folder],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def edited(work, name, old, new):
    """The logs with something else in one of them"""
    folder = tempfile.mkdtemp(dir=work)
    shutil.copytree(LOGS, folder, dirs_exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, encoding='utf-8') as log:
        text = log.read()
    changed = re.sub(old, new, text, flags=re.M)
    assert changed != text, f'nothing to change: {old}'
    with open(path, 'w', encoding='utf-8') as log:
        log.write(changed)
    return folder


def good_run(tap, work):
    path = os.path.join(work, 'report.html')
    status, out, err = report(LOGS, '--html', path)
    tap.check(status == 0 and not err, 'a run that passed is told so', err)
    tap.has(out, r'^  L1 at +3\.20 s .*\n  L2 at +5\.40 s .*\n  L1 at +9\.00 s ',
            "stages of both levels are in the order of one clock")
    # 500 and 510 us; 520 to 550
    tap.has(out, r'^ +256 µs +2  #{20}\n +512 µs +4  #{40}$', 'a histogram')
    tap.has(out, r'^  41 page requests .* 6 groups$', 'sums over all tests')
    tap.has(out, r'^  6 groups .* 6 answered', 'counters of the vIOMMU')
    tap.has(out, r'5 Success, 1 Invalid', 'responses')
    # 12 ms of 6 groups; 500, 510, ... 550 us of them in L2
    tap.has(out, r'^ +1\.48 ms  device', 'what is left for the way')
    tap.has(out, r'^ +525 µs  L2', 'the median of L2')
    tap.has(out, r'^ +3 IOMMU_HWPT_INVALIDATE: 4 entries', 'ioctls')
    tap.has(out, r'piotlb 5, wait 9', 'commands')
    tap.has(out, r'0xdeadbeef, .*; 96 KiB', 'the checksum')
    tap.has(out, r'^Result: passed, 5 tests', 'the result')
    with open(path, encoding='utf-8') as page:
        text = page.read()
    page = Page(text)
    tap.check(not page.wrong, 'HTML: elements are closed', page.wrong)
    tap.check(not page.outside and 'url(' not in text and
              'http' not in text, 'HTML: nothing from elsewhere')
    tap.check({'svg', 'circle', 'table'} <= page.seen, 'HTML: pictures')
    tap.has(text, r'<b>41</b>', 'HTML: the number of page requests')
    cut = [m for m in re.finditer(r'<text x="([0-9.]+)"[^>]*anchor="start">'
                                  r'([^<]*)', text)
           if float(m.group(1)) + 7 * len(m.group(2)) > 920.5]
    tap.check(not cut, 'HTML: no label is cut off at the right edge', cut)
    tap.has(text, 'from 512 µs to twice that: 4', 'HTML: the histogram')


def damaged_runs(tap, work):
    status, out, _ = report(edited(
        work, 'l2.story', r'"nothing","ok":true',
        '"nothing","ok":false,"why":"<b>no</b>"'), '--html',
        os.path.join(work, 'bad.html'))
    tap.check(status == 1 and 'FAILED: <b>no</b>' in out,
              'a test that failed is the run that failed', out)
    with open(os.path.join(work, 'bad.html'), encoding='utf-8') as page:
        text = page.read()
    tap.check('<b>no' not in text and '&lt;b&gt;no' in text,
              'HTML: what a log has is text')
    status, out, _ = report(edited(work, 'l2.story',
                                   r'("end","ok":)true', r'\1false'))
    tap.check(status == 1 and 'Result: FAILED' in out,
              "the program's own verdict counts", out)
    for what, name, old in (
            ('a run without end', 'l2.story', r'^{"vsva":"end".*\n'),
            ('a clock that was not compared', 'l1.story', r'^lab: clock.*\n'),
            ('a torn line', 'l2.story', r'("test":"nothing".*),.*$'),
            ('a torn answer', 'l1.story', r'(NESTED-IOMMU .*)....$')):
        new = r'\1' if '(' in old else ''
        status, out, err = report(edited(work, name, old, new))
        tap.check(status == 1 and 'report.py: error:' in err and not out,
                  f'{what} is an error', out + err)
    status, out, _ = report(edited(work, 'l1.qemu', r'.*\n', ''))
    tap.check(status == 0 and '2.00 ms  device → IOMMU → L1 → QEMU → L2'
              in out, 'without a trace there is one leg', out)
    status, out, _ = report(edited(work, 'l1.story', r'^NESTED.*\n', ''))
    tap.check(status == 0 and 'IOMMU_HWPT' not in out,
              'without a vIOMMU no ioctls are told', out)


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory() as work:
        good_run(tap, work)
        damaged_runs(tap, work)
    print(f'1..{tap.number}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())
