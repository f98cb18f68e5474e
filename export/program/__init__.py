"""The memories of a program: packed steps, banks of weights and lists, leaf tables, images."""
