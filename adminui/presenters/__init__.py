"""From values to what a template shows: presenters compute, templates show."""
