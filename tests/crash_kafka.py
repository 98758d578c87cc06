#!/usr/bin/env python3
"""kill -9 under load on a Kafka broker, read with read_committed:
crash_kafka.py --weir build/release/weir --broker 127.0.0.1:29392 --rounds 25"""
import os
import sys

import crash_lib

parser = crash_lib.options(__doc__)
parser.add_argument('--broker', default=os.environ.get('WEIR_TEST_BROKER'), help='host:port (WEIR_TEST_BROKER)')
o = parser.parse_args()
if not o.broker:
    sys.exit('crash_kafka.py: which broker? --broker or WEIR_TEST_BROKER')
name = 'crash-%d-%d' % (os.getpid(), o.seed)
print('seed %d' % o.seed)
crash_lib.main(crash_lib.Crash(o, ['--kafka', o.broker, '--service', name], name + '-'))
