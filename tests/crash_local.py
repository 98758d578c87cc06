#!/usr/bin/env python3
"""kill -9 under load on the embedded log: crash_local.py --weir build/release/weir --rounds 200"""
import crash_lib

o = crash_lib.options(__doc__).parse_args()
print('seed %d' % o.seed)
crash_lib.main(crash_lib.Crash(o, [], ''))
