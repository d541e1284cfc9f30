"""What the sampling service works out: policies for one service, budgets, fairness, leases, roots. No I/O."""
