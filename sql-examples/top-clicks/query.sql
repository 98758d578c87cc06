SELECT usr, clicks, items, best[1] AS best, best AS best_scores FROM top_scores ORDER BY usr;
