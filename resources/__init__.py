"""What an environment provides: settings, storage, engines and runners."""
