"""The style of a page: light, dark, on paper, and on a phone. Used by `page` and by what notebooks show.

In a notebook a fragment stands among others: what is written here for a page holds there inside of one element alone.
"""

from __future__ import annotations

import re

SCOPE = ".symphony-report"
"""The element of a notebook in which the style holds."""
_LIGHT = """--paper:#fff;--ink:#1d2430;--soft:#5b6675;--line:#d8dee7;--band:#f4f6f9;
  --grid:#e3e8ef;--bar:#3f6ea8;--engine:#9aa7b8;--gate:#5b6675;--critical:#c2570c;--bad:#b3261e;
  --good:#1f7a3d;--fork:#7a5ea8;--setup:#a8658f;--import:#3f8f8a;--hand:#b08a1e;--ready:#6a9a3a;--card:#f4f6f9"""
_DARK = """--paper:#14181f;--ink:#e4e9f0;--soft:#9aa7b8;--line:#333d4b;
  --band:#1b212a;--grid:#29313d;--bar:#6f9fd8;--engine:#5f6c7e;--gate:#9aa7b8;--critical:#f0924a;
  --bad:#ff8a80;--good:#7fcf97;--fork:#b49be0;--setup:#d79bc0;--import:#6cc0ba;--hand:#dcb94d;--ready:#a3cf74;
  --card:#1b212a"""
_RULES = """*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:20px 24px 48px}
h1{font-size:1.5em;margin:.2em 0}
h2{font-size:1.15em;margin:1.8em 0 .5em;padding-top:.4em;border-top:1px solid var(--line)}
h3{font-size:1em;margin:1em 0 .3em}
p{margin:.4em 0;max-width:78ch}
code,pre{font:12.5px/1.4 ui-monospace,monospace}
pre{overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.lead{font-size:1.05em}
.soft{color:var(--soft)}
.bad{color:var(--bad)}
.good{color:var(--good)}
a{color:inherit}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;
  margin:.8em 0;padding:0;list-style:none}
.cards li{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:8px 14px;
  min-width:8.5em}
.cards b{display:block;font-size:1.25em;font-weight:600}
.cards span{display:block;color:var(--soft);font-size:.86em}
.over{border-color:var(--bad)!important}
.fault{border-left:4px solid var(--bad);background:var(--card);padding:8px 14px;margin:.8em 0;
  overflow-wrap:anywhere}
.fault p{max-width:none}
.hint{border-left:3px solid var(--good);padding-left:8px}
.axis,.row>summary,.plain{display:grid;grid-template-columns:minmax(9em,17em) 1fr 5.6em;gap:10px;
  align-items:center}
.axis{position:relative;height:18px;color:var(--soft)}
.axis .ticks{position:relative;height:16px;font-size:11px}
.axis i{position:absolute;font-style:normal;transform:translateX(-50%);white-space:nowrap}
.axis i:first-child{transform:none}
.row{margin:0}
.row>summary{list-style:none;cursor:pointer;min-height:21px;border-radius:3px}
.row>summary::-webkit-details-marker{display:none}
.row>summary:hover,.row[open]>summary{background:var(--band)}
.row>summary:focus-visible{outline:2px solid var(--bar)}
.plain{min-height:21px}
.head{font-weight:600;border-top:1px solid var(--line);margin-top:3px;padding-top:2px}
.name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.row .name::before{content:"▸";color:var(--soft);font-size:.8em;display:inline-block;width:1.1em}
.row[open] .name::before{content:"▾"}
.plain .name{padding-left:.9em}
.head .name{padding-left:0}
.node .name{padding-left:2em;font-size:.92em;color:var(--soft)}
.time{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.lane{position:relative;overflow:hidden;height:15px;background:repeating-linear-gradient(to right,var(--grid) 0 1px,
  transparent 1px var(--step))}
.bar{position:absolute;top:2px;height:11px;min-width:2px;background:var(--bar);border-radius:2px}
.bar.step{top:9px;height:5px;border-radius:0;min-width:1px}
.stepped .bar.whole{height:6px}
.bar.phase{background:var(--engine)}
.bar.gate{background:var(--gate)}
.bar.wait{background:none;border:1px dashed var(--gate)}
.bar.stop{background:var(--gate)}
.critical>summary .name,.plain.critical .name{color:var(--critical);font-weight:600}
.critical .bar.whole{background:var(--critical)}
.failed>summary .name,.failed.plain .name{color:var(--bad);font-weight:600}
.failed .bar.whole{background:var(--bad)}
.degraded .bar.whole{background:var(--hand)}
.fork,.exec{background:var(--fork)!important}
.set-up{background:var(--setup)!important}
.import,.warm-image{background:var(--import)!important}
.handshake{background:var(--hand)!important}
.ready-step{background:var(--ready)!important}
.start{background:var(--bad)!important}
.more{margin:.2em 0 .6em 1.2em;padding:4px 12px;border-left:2px solid var(--line)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;color:var(--soft);font-size:.86em;margin:.5em 0;padding:0;
  list-style:none}
.legend i{display:inline-block;width:14px;height:9px;border-radius:2px;margin-right:5px}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--bar)}
caption{text-align:left}
table{border-collapse:collapse;font-size:.92em;margin:.3em 0}
th,td{text-align:left;padding:2px 14px 2px 0;vertical-align:top;border-bottom:1px solid var(--line);
  overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.path{display:flex;flex-wrap:wrap;gap:6px 4px;list-style:none;padding:0;margin:.5em 0}
.path li{border:1px solid var(--critical);border-radius:12px;padding:1px 10px}
.path li+li::before{content:"→ ";color:var(--soft)}
.path small{color:var(--soft)}
@media (max-width:640px){main{padding:12px 12px 32px}
.axis,.row>summary,.plain{grid-template-columns:1fr auto;gap:0 8px}
.row .lane,.plain .lane{grid-column:1/-1;grid-row:2}
.axis .ticks{grid-column:1/-1}
.axis>span:not(.ticks){display:none}
.row>summary,.plain{padding:3px 0}
.cards li{min-width:0;padding:6px 10px}
.more{margin-left:0}
.wide{display:none}
}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#fff;--grid:#ddd;
  --card:#fff;--bar:#3f6ea8;--engine:#9aa7b8;--gate:#5b6675;--critical:#c2570c;--bad:#b3261e;--hand:#b08a1e;
  --import:#3f8f8a;--fork:#7a5ea8;--setup:#a8658f;--ready:#6a9a3a}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
main{max-width:none;padding:0}
.row,.plain,.fault,tr{break-inside:avoid}
h2,h3{break-after:avoid}
.scroll{overflow:visible}
.symphony-graph{max-width:100%;height:auto}
}
"""

STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT}}}\n"
    f"@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}\n{_RULES}"
)
"""Of a page."""

_ITSELF = (":root", "body", "main")
# Notebooks say which they are; what the browser says is for those that do not.
_LIGHT_NOTEBOOKS = ("[data-jp-theme-light=true]", "[data-theme=light]", "body.vscode-light")
_DARK_NOTEBOOKS = (
    "[data-jp-theme-light=false]",
    "[data-theme=dark]",
    "html[theme=dark]",
    "body.vscode-dark",
)
# The picture of a graph can stand alone; here it has the colours of what it stands in.
_OF_A_FRAGMENT = (
    "{scope}{{border:1px solid var(--line);border-radius:6px;max-width:none;padding:4px 16px 16px}}"
    "{scope} .symphony-graph{{background:none;--ink:inherit;--soft:inherit;--band:inherit;--bad:inherit;"
    "--box:var(--paper);--line:var(--bar);--edge:var(--soft);--warm:var(--critical)}}"
)


def fragment_style() -> str:
    """The style of a fragment: it changes nothing outside of its element, and follows the notebook's light or dark."""
    parts = [_scoped(STYLE)]
    for places, colours, scheme in (
        (_LIGHT_NOTEBOOKS, _LIGHT, "light"),
        (_DARK_NOTEBOOKS, _DARK, "dark"),
    ):
        selectors = ",".join(f"{place} {SCOPE}" for place in places)
        parts.append(f"{selectors}{{color-scheme:{scheme};{colours}}}")
    return "".join([*parts, _OF_A_FRAGMENT.format(scope=SCOPE)])


def _scoped(style: str) -> str:
    """The same rules, for what lies in that element."""

    def rule(found: re.Match[str]) -> str:
        selectors = (each.strip() for each in found["selectors"].split(","))
        return ",".join(map(_inside, selectors)) + "{"

    return re.sub(r"(?P<selectors>[^{}@;]+)\{(?=[^{}]*\})", rule, style)


def _inside(selector: str) -> str:
    return SCOPE if selector in _ITSELF else f"{SCOPE} {selector}"
