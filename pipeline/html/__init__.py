"""HTML pages that stand by themselves: templates, one stylesheet, and charts as SVG."""
