"""What sources are made of: arrays, hold-outs, tasks, scaling. Open `arrays` first."""
