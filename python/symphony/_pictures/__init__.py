"""Pictures of systems, boots and runs: SVG and pages that need nothing else.

Called by the command line, and by notebooks through `_repr_html_`. Nobody loads this without asking for a picture.
"""
