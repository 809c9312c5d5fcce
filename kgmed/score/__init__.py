"""From a case to evidence: likelihood ratios and clinical rules."""
