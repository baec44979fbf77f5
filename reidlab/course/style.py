"""The look of the course's web pages: one style sheet, written into each page."""

from __future__ import annotations

from functools import cache

SHEET = """
:root { --ink: #1d2430; --soft: #5a6472; --line: #dfe3e8; --paper: #fff; --wash: #f6f7f9;
  --blue: #00609c; --red: #b34700; color-scheme: light; }
* { box-sizing: border-box; }
html { font-size: 17px; -webkit-text-size-adjust: 100%; scroll-padding-top: 4rem; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.6;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial,
    sans-serif; }
a { color: var(--blue); text-decoration-thickness: 1px; text-underline-offset: .17em; }
a:focus-visible, summary:focus-visible { outline: 3px solid #f0c05a; outline-offset: 2px; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; }
h1 { font-size: 1.85rem; margin: 1.6rem 0 1rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .8rem; }
h3 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
p, ul, ol, dl { margin: .8rem 0; }
li { margin: .3rem 0; }
li:has(> input[type=checkbox]) { list-style: none; }
li > input[type=checkbox] { margin: 0 .6em 0 -1.5em; }
code, pre { font-family: ui-monospace, "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono",
  monospace; font-size: .84rem; }
:not(pre) > code { background: var(--wash); border-radius: 4px; padding: .1em .3em;
  overflow-wrap: anywhere; }
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", "XITS Math", math; }
math[display="block"] { margin: 1rem 0; padding: .2rem 0; overflow-x: auto; overflow-y: hidden;
  font-size: 1.08em; }
math [mathvariant^="bold"] { font-weight: 700; }
table { border-collapse: collapse; font-size: .93rem; }
td:first-child { min-width: 7rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { border-bottom-color: var(--ink); }
.wide { overflow-x: auto; margin: 1rem 0; }

.bar { position: sticky; top: 0; z-index: 1; background: var(--paper);
  border-bottom: 1px solid var(--line); font-size: .88rem; }
.bar > div { max-width: 58rem; margin: 0 auto; padding: .55rem 1.2rem; display: flex; gap: 1.2rem; }
.bar a { text-decoration: none; white-space: nowrap; }
.bar .up { font-weight: 650; color: var(--ink); margin-right: auto; }
.turn { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: 3.5rem 0 1rem; }
.turn a { border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem;
  text-decoration: none; line-height: 1.4; }
.turn a:hover { border-color: var(--blue); }
.turn small { display: block; color: var(--soft); }
.turn .next { grid-column: 2; text-align: right; }
main { max-width: 50rem; margin: 0 auto; padding: 0 1.2rem 3rem; }
footer { color: var(--soft); font-size: .85rem; border-top: 1px solid var(--line);
  margin-top: 2.5rem; padding-top: .8rem; }
.anchor-link { visibility: hidden; margin-left: .35rem; text-decoration: none;
  color: var(--soft); font-weight: 400; }
:is(h1, h2, h3, h4):hover .anchor-link, .anchor-link:focus { visibility: visible; }
.badge { display: inline-block; border: 1px solid currentcolor; border-radius: 999px;
  font-size: .8rem; padding: .05rem .7rem; }
.aside { color: var(--soft); font-style: italic; }

.jp-CodeCell { margin: 1.1rem 0; }
.jp-Cell pre { margin: 0; line-height: 1.5; overflow-x: auto; white-space: pre; }
.jp-InputArea-editor { background: var(--wash); border-left: 3px solid #c3cedb;
  border-radius: 0 6px 6px 0; padding: .7rem 1rem; }
.jp-MarkdownCell pre { background: var(--wash); border-radius: 6px; padding: .7rem 1rem; }
.jp-OutputArea-child { margin: .7rem 0; padding-left: calc(1rem + 3px); overflow-x: auto; }
.jp-OutputArea-child pre { font-size: .78rem; }
.jp-OutputArea-child:has(img.output) { padding-left: 0; }
img.output { display: block; max-width: 100%; height: auto; margin: 0 auto; }
[data-mime-type$="stderr"] pre { color: var(--red); white-space: pre-wrap; }
details.solution { margin: 1.1rem 0; }
summary { cursor: pointer; color: var(--blue); }
.ansi-red-fg, .ansi-red-intense-fg { color: var(--red); }
.ansi-green-fg, .ansi-green-intense-fg { color: #00683f; }
.ansi-blue-fg, .ansi-cyan-fg { color: var(--blue); }
.ansi-bold { font-weight: 700; }
.trouble { border: 1px solid var(--red); border-left-width: 6px; border-radius: 6px;
  padding: .7rem 1rem; margin: 1.5rem 0; }
.trouble strong { color: var(--red); }
.trouble pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 0;
  max-height: 24rem; overflow-y: auto; }

.index main { max-width: 64rem; }
.index h1 { font-size: 2.3rem; margin: 3rem 0 .4rem; }
.lead { font-size: 1.15rem; color: var(--soft); max-width: 42rem; margin: 0 0 1.2rem; }
.facts { color: var(--soft); font-size: .88rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr));
  gap: 1.4rem; margin: 1.8rem 0 2.5rem; padding: 0; list-style: none; }
.card { position: relative; display: flex; flex-direction: column; border-radius: 10px;
  border: 1px solid var(--line); overflow: hidden; background: var(--paper); margin: 0; }
.card:hover { border-color: var(--blue); box-shadow: 0 2px 10px #1d243018; }
.card.failed { border-color: var(--red); }
.thumb { display: block; flex: none; width: 100%; height: auto; aspect-ratio: 16 / 10;
  object-fit: cover; object-position: top; background: var(--wash);
  border-bottom: 1px solid var(--line); }
.number { display: grid; place-items: center; color: #9aa5b3; font-size: 3rem; font-weight: 200; }
.card > div:last-child { padding: .9rem 1.1rem 1rem; display: flex; flex-direction: column;
  flex: 1; }
.card h2 { font-size: 1.05rem; margin: 0 0 .4rem; text-wrap: pretty; }
.card h2 a { text-decoration: none; color: var(--ink); }
.card h2 a::after { content: ""; position: absolute; inset: 0; }
.card p { font-size: .92rem; line-height: 1.5; margin: 0 0 .8rem; }
.card .state { margin: auto 0 0; font-size: .84rem; color: var(--soft); }
.card .state b { font-weight: 650; color: var(--blue); }
.card.failed .state b, .card.stopped .state b { color: var(--red); }
.notes { list-style: none; padding: 0; }
.notes li { margin: .6rem 0; }

@media (max-width: 40rem) {
  html { font-size: 16px; }
  td:first-child { min-width: 4.5rem; }
  h1 { font-size: 1.5rem; }
  .index h1 { font-size: 1.8rem; margin-top: 2rem; }
  .bar > div { gap: .9rem; }
  .jp-InputArea-editor { padding: .6rem .7rem; }
  .jp-OutputArea-child { padding-left: 0; }
}
@media print {
  .bar, .turn, .anchor-link { display: none; }
  .jp-Cell pre { white-space: pre-wrap; }
  img.output, .jp-InputArea-editor { break-inside: avoid; }
}
"""


@cache
def style_sheet() -> str:
    """The whole sheet: the page, and the colours of code."""
    from pygments.formatters import HtmlFormatter

    colors = HtmlFormatter(style="friendly", nobackground=True).get_style_defs(".highlight")
    return f"{SHEET}\n{colors}\n.highlight .c1, .highlight .c {{ color: #5b6b5f; }}\n"
