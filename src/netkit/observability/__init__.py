"""What an operator sees: `logs` writes lines and never blocks, `access` says what ended."""
