"""What a source and a sink share: `lsl` has the library, `mqtt` addresses and clients."""
