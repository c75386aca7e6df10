"""The facts of a journal as tables for analysts."""
