"""Real load balancers: Debian's nginx and HAProxy with the configurations of cpdd."""
