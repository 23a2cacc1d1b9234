//! What a hit says between the lines: browser, place, source.
