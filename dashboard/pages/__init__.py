"""The pages. Each has `layout()`, without data, and `register()`, which adds the callbacks that fill it."""
