"""Films of a text that is being written: on a terminal, as GIF, in HTML."""
