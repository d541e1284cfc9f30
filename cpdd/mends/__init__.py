"""What single contrib instrumentations leave out, added when they are applied. A module each, with a function `mend`.

Imports the library it is for, which is why nothing imports these modules but `cpdd.instrumentations`, by name.
"""
