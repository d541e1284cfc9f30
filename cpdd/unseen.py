"""Letters and marks that nobody sees. Called by the terminal's output and by pages, which agree on what is hidden."""

UNSEEN_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
"""What Unicode counts among letters, marks and symbols, so that `str.isprintable` lets it through, and fonts draw as
nothing: fillers of Hangul, joiners, the empty pattern of Braille. A name looks like another with one of them in it."""
