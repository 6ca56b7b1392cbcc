"""Events of the stream, put in order and stored before they are acknowledged."""
