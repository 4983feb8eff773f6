"""Results as people and programs read them: phrases, tables, and a module for each format."""
