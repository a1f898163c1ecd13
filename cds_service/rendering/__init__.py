"""Assessments as people read them: plain text for a terminal, one HTML page for paper and screen."""

from __future__ import annotations

from cds_service.rendering.html import render_html
from cds_service.rendering.text import render_text

__all__ = ["render_html", "render_text"]
