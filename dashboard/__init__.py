"""The web application: ``python -m dashboard``; how a page is made stands in ``docs/dashboard.md``."""
