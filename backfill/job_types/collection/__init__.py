"""data-collection: fetches published reports from the dashboard and stores them as snapshots."""
