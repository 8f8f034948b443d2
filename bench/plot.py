#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What bench.py has measured as a page that needs nothing else

One chart for each workload and figure, a line for each number of devices, and
all figures as a table. Several files are shown side by side.
"""

import argparse
import html
import json
import math
import os

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 420, 240, 62, 40, 26, 14
COLOURS = ['#1f6fb4', '#d1603d', '#3c8d40', '#8457a8', '#8a6d1d', '#c0417f']
KINDS = {'instructions': 'instructions', 'calls': 'calls of the host'}

STYLE = '''body{font:15px/1.45 sans-serif;max-width:1320px;margin:2em auto;
padding:0 1em;color:#222}svg{font:11px sans-serif;margin:0 1em 1em 0}
table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}'''


def read(path):
    """[(front end/workload, devices, commands, figures)]"""
    with open(path, encoding='utf-8') as f:
        figures = json.load(f)
    rows = []
    for name, figure in figures.items():
        workload, devices, commands = name.rsplit('/', 2)
        rows.append((workload, int(devices), int(commands), figure))
    return rows


def short(value):
    """A number as one would say it"""
    if value >= 10000:
        return f'{value / 1000:,.0f}k'
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def lines_of(files, workload, kind):
    """{label: [(commands, value)]}, those of one file one after the other"""
    lines = {}
    for title, rows in files:
        for name, devices, commands, figure in rows:
            if name == workload:
                label = f'{devices} device{"s" * (devices > 1)}'
                if len(files) > 1:
                    label = f'{title}, {label}'
                lines.setdefault(label, []).append((commands, figure[kind]))
    return {label: sorted(points) for label, points in lines.items()}


class Chart:
    """Powers of two to the right, and from nothing to the most upwards"""

    def __init__(self, title, lines):
        self.title = title
        self.lines = lines
        points = [p for line in lines.values() for p in line]
        self.ticks = sorted({x for x, _ in points})
        self.most = max(y for _, y in points) * 1.08 or 1

    def x(self, commands):
        """Where so many commands are"""
        first, last = (math.log2(self.ticks[i]) for i in (0, -1))
        share = (math.log2(commands) - first) / ((last - first) or 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        """Where a value is"""
        return HEIGHT - BOTTOM - value / self.most * (HEIGHT - BOTTOM - TOP)

    def axes(self):
        """Names and numbers"""
        parts = [f'<text x="{LEFT}" y="14" font-weight="bold">'
                 f'{html.escape(self.title)}</text>']
        for i in range(5):
            value = self.most * i / 4
            y = self.y(value)
            parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" '
                         f'x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
                         f'<text x="{LEFT - 5}" y="{y + 4:.1f}" '
                         f'text-anchor="end">{short(value)}</text>')
        for tick in self.ticks:
            parts.append(f'<text x="{self.x(tick):.1f}" '
                         f'y="{HEIGHT - BOTTOM + 14}" '
                         f'text-anchor="middle">{tick:,}</text>')
        parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" '
                     f'y="{HEIGHT - 8}" text-anchor="middle">COMMANDS</text>')
        return parts

    def line(self, index, label, points):
        """One line, its points and its name"""
        colour = COLOURS[index % len(COLOURS)]
        path = ' '.join(f'{self.x(x):.1f},{self.y(y):.1f}' for x, y in points)
        y = TOP + 4 + 13 * index
        return [f'<polyline points="{path}" fill="none" stroke="{colour}" '
                f'stroke-width="1.6"/>'] + [
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="2.6" '
            f'fill="{colour}"><title>{html.escape(label)}, {x:,}: {y:,}'
            f'</title></circle>' for x, y in points] + [
            f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end" '
            f'fill="{colour}">{html.escape(label)}</text>']

    def svg(self):
        """The chart"""
        parts = self.axes()
        for index, (label, points) in enumerate(self.lines.items()):
            parts += self.line(index, label, points)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{HEIGHT}" role="img">{"".join(parts)}</svg>')


def table(files):
    """All figures"""
    head = ''.join(f'<th>{html.escape(title)} {name}</th>'
                   for title, _ in files for name in KINDS.values())
    names = dict.fromkeys(row[:3] for _, rows in files for row in rows)
    lines = []
    for name in names:
        cells = ''
        for _, rows in files:
            figure = next((row[3] for row in rows if row[:3] == name), None)
            cells += ''.join(f'<td>{figure[kind]:,}</td>' if figure else
                             '<td>–</td>' for kind in KINDS)
        lines.append(f'<tr><td>{html.escape("/".join(map(str, name)))}</td>'
                     f'{cells}</tr>')
    return (f'<table><tr><th>case</th>{head}</tr>' + '\n'.join(lines) +
            '</table>')


def page(files):
    """The whole of it"""
    workloads = dict.fromkeys(row[0] for _, rows in files for row in rows)
    parts = ['<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
             f'<title>What commands cost</title><style>{STYLE}</style>'
             '<h1>What commands cost</h1><p>Per command, or per repetition '
             'for <code>bind</code> and <code>pasid-cache</code>; '
             'docs/nested/performance.rst says of what.</p>']
    for workload in workloads:
        parts.append(f'<h2>{html.escape(workload)}</h2>')
        parts += [Chart(name, lines_of(files, workload, kind)).svg()
                  for kind, name in KINDS.items()]
    parts += ['<h2>Figures</h2>', table(files), '</html>']
    return '\n'.join(parts) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--html', required=True, help='the page to be written')
    parser.add_argument('files', nargs='+', metavar='JSON',
                        help='what bench.py --json has written')
    args = parser.parse_args()
    files = [(os.path.splitext(os.path.basename(path))[0], read(path))
             for path in args.files]
    with open(args.html, 'w', encoding='utf-8') as f:
        f.write(page(files))


if __name__ == '__main__':
    main()
