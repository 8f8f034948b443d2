# SPDX-License-Identifier: GPL-2.0-or-later
"""The report of a run as one HTML file; no scripts, nothing from elsewhere"""

import html
import math

STYLE = '''
body { font: 15px/1.5 sans-serif; max-width: 960px; margin: 2em auto;
       padding: 0 1em; color: #222; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2em .8em .2em 0;
         border-bottom: 1px solid #ddd; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.big { display: flex; gap: 2em; flex-wrap: wrap; margin: 1em 0; }
.big b { display: block; font-size: 1.7em; }
.ok { color: #1a7f37; } .bad { color: #b3261e; }
svg { width: 100%; height: auto; } svg text { font: 12px sans-serif; }
pre { background: #f5f5f5; padding: 1em; overflow-x: auto; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1b1b1b; } pre { background: #2a2a2a; }
  th, td { border-color: #444; } svg text { fill: #ddd; }
  .ok { color: #56d364; } .bad { color: #ff7b72; }
}
'''

WIDTH = 920
LEFT = 110
ROW = 22
LETTER = 7         # as wide as one is taken to be


def text(x, y, words, anchor='start'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f'{html.escape(str(words))}</text>')


def rect(x, y, width, height, colour, title):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="{colour}"><title>'
            f'{html.escape(title)}</title></rect>')


def line(x1, y1, x2, y2, colour='#999', extra=''):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" {extra}/>')


def svg(height, parts, label):
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
            f'aria-label="{html.escape(label)}">' + '\n'.join(parts) +
            '</svg>')


def axis(x, y, seconds, scale):
    """From 0, with some five ticks at round seconds"""
    step = 10 ** math.floor(math.log10(max(seconds, 1e-3) / 2))
    step *= next(n for n in (1, 2, 5, 10) if seconds / (step * n) <= 6)
    parts = [line(x, y, x + seconds * scale, y)]
    for i in range(int(seconds / step + 1e-9) + 1):
        at = x + i * step * scale
        parts += [line(at, y, at, y + 4),
                  text(at, y + 18, f'{i * step:g} s', 'middle')]
    return parts


def label_of(test, tools):
    words = tools.duration(test['us'] * 1000)
    if test.get('requests'):
        words += f', {test["requests"]} page requests'
    return words


def timeline(run, tools):
    """Tests as bars over the time of L2; the page requests beside them"""
    start = min(t['start_us'] for t in run.tests)
    end = max(t['start_us'] + t['us'] for t in run.tests)
    labels = [label_of(test, tools) for test in run.tests]
    room = max(map(len, labels)) * LETTER + 6
    scale = (WIDTH - LEFT - room) / max(end - start, 1)
    parts = []
    for row, (test, label) in enumerate(zip(run.tests, labels)):
        y = 10 + row * ROW
        x = LEFT + (test['start_us'] - start) * scale
        width = max(test['us'] * scale, 2)
        colour = '#b3261e' if not test['ok'] else \
            '#999' if 'skip' in test else '#3b78c4'
        parts.append(text(LEFT - 8, y + 13, test['test'], 'end'))
        parts.append(rect(x, y, width, ROW - 6, colour,
                          f'{test["test"]}: {tools.verdict_of(test)}'))
        parts.append(text(x + width + 6, y + 13, label))
    bottom = 10 + len(run.tests) * ROW
    parts += axis(LEFT, bottom, (end - start) / 1e6, scale * 1e6)
    return svg(bottom + 26, parts, 'tests over time')


def journey(run, tools):
    """One page request group on its way through the levels, and back"""
    stops = ['device', 'IOMMU', 'L1: iommufd', 'L1: QEMU', 'L2: IOMMU driver',
             'L2: page fault']
    steps = ['page requests', 'fault queue', 'fault file descriptor',
             "the guest's queue", 'fault handler']
    back = ['response', 'answer', 'write of the answer', 'group response',
            'page is there']
    gap = (WIDTH - 120) / (len(stops) - 1)
    xs = [60 + i * gap for i in range(len(stops))]
    parts = []
    for x, name in zip(xs, stops):
        parts.append(text(x, 16, name, 'middle'))
        parts.append(line(x, 24, x, 250))
    for i, (there, again) in enumerate(zip(steps, back)):
        for y, words, x1, x2 in ((46 + i * 18, there, xs[i], xs[i + 1]),
                                 (226 - i * 18, again, xs[i + 1], xs[i])):
            tip = 5 if x2 > x1 else -5
            parts.append(line(x1, y, x2, y, '#3b78c4'))
            parts.append(f'<path d="M{x2:.1f} {y}l{-tip} -4v8z" '
                         'fill="#3b78c4"/>')
            parts.append(text((x1 + x2) / 2, y - 4, words, 'middle'))
    legs = run.legs()
    words = '; '.join(f'{what}: {tools.duration(ns)}' for what, ns in legs)
    parts.append(text(WIDTH / 2, 268, words, 'middle'))
    return svg(280, parts, 'the way of a page request')


def activity(run, tools):
    """Groups over time and how long each took, as QEMU in L1 saw them"""
    groups = run.trace.groups
    if not groups:
        return ''
    last = max(when for when, _ in groups) or 1e-9
    most = max(took for _, took in groups) or 1e-9
    step = max(len(groups) // 4000, 1)
    parts = [line(LEFT, 10, LEFT, 170),
             text(LEFT - 8, 20, tools.duration(most * 1e9), 'end'),
             text(LEFT - 8, 174, '0', 'end')]
    parts += axis(LEFT, 170, last, (WIDTH - LEFT - 20) / last)
    for when, took in groups[::step]:
        x = LEFT + when / last * (WIDTH - LEFT - 20)
        y = 170 - took / most * 160
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" '
                     'fill="#3b78c4" fill-opacity=".5"/>')
    note = f', every {step}th is drawn' if step > 1 else ''
    return ('<h2>Every group the guest answered</h2><p>When it came to QEMU '
            f'in L1, and how long L2 took: {len(groups)} groups{note}.</p>'
            + svg(196, parts, 'page request groups over time'))


def histogram(run, tools):
    """How many groups took how long: powers of two"""
    buckets = run.trace.histogram()
    if not buckets:
        return ''
    most = max(count for _, count in buckets)
    scale = (WIDTH - LEFT - len(str(most)) * LETTER - 6) / most
    parts = []
    for row, (start, count) in enumerate(buckets):
        y = 10 + row * ROW
        name = tools.duration(start * 1e3)
        parts.append(text(LEFT - 8, y + 13, name, 'end'))
        parts.append(rect(LEFT, y, count * scale, ROW - 6, '#3b78c4',
                          f'from {name} to twice that: {count}'))
        parts.append(text(LEFT + count * scale + 6, y + 13, count))
    return ('<h2>How long L2 took</h2><p>Groups by the time that it took, each '
            'row from that on to twice as much.</p>'
            + svg(10 + len(buckets) * ROW, parts, 'time that groups took'))


def table(head, rows):
    numbers = [isinstance(value, int) for value in rows[0]] if rows else []

    def line_of(tag, values):
        return '<tr>' + ''.join(
            f'<{tag}{" class=n" if number else ""}>'
            f'{html.escape(str(value))}</{tag}>'
            for value, number in zip(values, numbers)) + '</tr>'

    out = ['<table>', line_of('th', head)]
    out += [line_of('td', row) for row in rows]
    return '\n'.join(out + ['</table>'])


def figures(run):
    answered = run.sum['success'] + run.sum['invalid'] + run.sum['failure']
    facts = [(run.sum['requests'], 'page requests'),
             (run.sum['groups'], 'groups of them'),
             (answered, 'responses'),
             (run.sum['invalidations'], 'invalidations at the device')]
    calls = {call: count for call, count, _ in run.ioctls()}
    if calls:
        facts.append((calls['IOMMU_HWPT_INVALIDATE'],
                      'IOMMU_HWPT_INVALIDATE calls'))
    return '<div class="big">' + ''.join(
        f'<span><b>{value:,}</b>{html.escape(name)}</span>'
        for value, name in facts) + '</div>'


def page(run, tools):
    word = '<span class="ok">passed</span>' if run.ok() else \
        '<span class="bad">failed</span>'
    parts = [
        '<!DOCTYPE html>', '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        '<title>Shared virtual addressing in a nested guest</title>',
        f'<style>{STYLE}</style></head><body>',
        f'<h1>Shared virtual addressing in a nested guest: {word}</h1>',
        '<p>A process in the guest (L2) gives plain pointers to a device that '
        "the host's (L1) IOMMU translates with the guest's own page tables. "
        'Pages that are not there are faulted in by the guest.</p>',
        figures(run),
        '<p>' + html.escape(tools.checksum_line(run)) + '</p>',
        '<h2>What was started</h2>',
        table(('where', 'time of L1', 'what'),
              [(level, f'{seconds:.2f} s', what)
               for level, seconds, what in run.stages]),
    ]
    if run.tests:
        parts += ['<h2>What the process did</h2>', timeline(run, tools)]
    parts += ['<h2>The way of a page request</h2>', journey(run, tools),
              activity(run, tools), histogram(run, tools)]
    waits = tools.latencies(run)
    if waits:
        parts += ['<h2>How long one page takes a process</h2>',
                  table(('the page was', 'shortest', 'median', 'longest'),
                        [(name, *(tools.duration(ns) for ns in times))
                         for name, times in waits])]
    if run.viommus:
        parts += ['<h2>What QEMU in L1 asked of its kernel</h2>',
                  table(('call', 'times', 'for'), [
                      (call, count, what)
                      for call, count, what in run.ioctls()])]
    parts += ['<h2>Tests</h2>',
              table(('test', 'result', 'descriptors', 'page requests',
                     'Success', 'Invalid'),
                    [(t['test'], tools.verdict_of(t))
                     + tuple(t.get(n, 0) for n in
                             ('descriptors', 'requests', 'success', 'invalid'))
                     for t in run.tests]),
              '<h2>On real hardware</h2>',
              '<pre>' + html.escape('\n'.join(tools.HARDWARE)) + '</pre>',
              '</body></html>', '']
    return '\n'.join(parts)
