"""Sphinx configuration: `make docs` builds `docs/` into `build/docs`; any warning fails the build."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from sphinx.ext.napoleon import NumpyDocstring

import dynamo

project = "DyNamo"
author = "DyNamo developers"
copyright = "DyNamo developers, Apache-2.0"  # noqa: A001 (Sphinx's name)
version = release = dynamo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "generated_pages",
    "offline_check",
]
exclude_patterns = ["_ext"]

# Markdown. Links between pages and to headings are checked: a broken one is a warning.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header"]  # pages from other places begin where their readers need them to

# The Python reference. Docstrings are NumPy style, with names in single backquotes.
default_role = "literal"
toc_object_entries = False  # a menu of every function is slow to build and to read
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False
# A comment on a constant, as "Largest file: more is refused", is prose; Napoleon would take it for "type: text".
NumpyDocstring._parse_attribute_docstring = NumpyDocstring._consume_to_end

# Furo brings its styles and scripts along and uses the system's fonts: pages load nothing from elsewhere.
html_theme = "furo"
html_title = f"DyNamo {release}"
html_static_path = ["_static"]
html_css_files = ["dynamo.css"]
html_copy_source = False
html_show_sphinx = False
