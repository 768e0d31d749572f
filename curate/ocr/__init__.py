"""Text of page images: engines, what surrounds them, and the budget of pages."""
