"""The page's style sheet: one column, the reader's own fonts, light or dark as the reader's system is set."""

from pytorchvideo_autox3d.report.style import THEME


def _variables(side: int) -> str:
    return " ".join(f"--{name}: {colours[side]};" for name, colours in THEME.items())


_RULES = """
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100%; }
body { max-width: 1060px; margin: 0 auto; padding: 48px 24px 72px; }
header { border-bottom: 1px solid var(--rule); padding-bottom: 24px; margin-bottom: 32px; }
h1 { font-size: 1.85rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 6px; text-wrap: balance; }
h2 { font-size: 1.2rem; letter-spacing: -0.01em; margin: 52px 0 10px; }
h3 { font-size: 1rem; margin: 26px 0 6px; }
p { margin: 0 0 12px; max-width: 74ch; }
.lede { color: var(--muted); margin: 0; }
.verdict { font-size: 1.2rem; line-height: 1.45; margin: 0 0 10px; max-width: 66ch; }
.verdict strong { font-weight: 650; }
.small, figcaption { color: var(--muted); font-size: 0.875rem; line-height: 1.5; }
.scroll { overflow-x: auto; }
figure { margin: 14px 0 26px; }
figure svg { display: block; width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; }
figure .wide svg { min-width: 700px; }
figcaption { margin-top: 8px; max-width: 82ch; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.94rem; }
th, td { padding: 8px 14px 8px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { color: var(--muted); font-weight: 550; font-size: 0.85rem; vertical-align: bottom; }
tbody th { color: var(--ink); font-weight: 600; font-size: 0.94rem; }
th:first-child, td:first-child, .words th, .words td { text-align: left; }
tr.ours td, tr.ours th { background: color-mix(in srgb, var(--blue) 9%, transparent); }
tr.ours th:first-child { box-shadow: inset 3px 0 var(--blue); padding-left: 12px; }
tbody th:first-child { padding-left: 12px; }
thead th:first-child { padding-left: 12px; }
.interval { color: var(--muted); font-size: 0.85rem; padding-left: 6px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 8px 32px; }
.grid figure { margin: 8px 0; }
.clips { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 8px 18px; align-items: center;
  margin: 0; }
.clips dt { font-size: 0.9rem; }
.clips dd { margin: 0; }
.clips img { display: block; max-width: 100%; height: auto; border-radius: 3px; }
dl.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 20px; font-size: 0.9rem; }
dl.facts dt { color: var(--muted); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
code { font: 0.88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
details { margin: 10px 0; border-top: 1px solid var(--rule); padding-top: 8px; }
summary { cursor: pointer; font-weight: 550; font-size: 0.92rem; }
summary:focus-visible { outline: 2px solid var(--blue); outline-offset: 3px; }
ul { padding-left: 1.2em; margin: 0 0 12px; max-width: 80ch; }
li { margin: 3px 0; }
@media (max-width: 640px) {
  body { padding: 28px 16px 48px; }
  h1 { font-size: 1.5rem; }
  .clips { grid-template-columns: 1fr; gap: 2px; }
  .clips dd { margin-bottom: 10px; }
}
@media print {
  html { font-size: 12px; }
  body { max-width: none; padding: 0; }
  figure, tr, .clips dd { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  tr.ours td, tr.ours th, figure svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  details::details-content { content-visibility: visible; height: auto; }
  .scroll { overflow: visible; }
  figure .wide svg { min-width: 0; }
}
"""

STYLESHEET = f"""
:root {{ color-scheme: light dark; --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  "Liberation Sans", sans-serif; {_variables(0)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(1)} }} }}
{_RULES}"""
