"""From μ to neighbours, 2-D layouts and clusters, and new points into existing ones. Knows no run and no command."""
