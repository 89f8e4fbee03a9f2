/** What the figures should reach. Stated beside them, in the terminal and in docs; gates nothing. */
import type { Report } from './report.ts';

/** A round trip may cost this many of the bare machine's. */
const ROUND_TRIPS_OF_FLOOR = 3;
/** And must be this much below what Node offers without us. */
const BELOW_SOCKETS = 60;
const NS_PER_US = 1000;
const IDLE_CPU_PERCENT = 2;

/** Adds the goals of the benchmark of this name to its report. */
export function addGoals(name: string, report: Report): void {
  if (name === 'channel') addChannelGoals(report);
  if (name === 'block') addBlockGoals(report);
}

function addChannelGoals(report: Report): void {
  report.goalRatio('nop_rtt_ns', 'c_spin_rtt_ns', '<=', ROUND_TRIPS_OF_FLOOR);
  // The peers' figures are in microseconds.
  report.goalRatio('unix_socket_rtt_us', 'nop_rtt_ns', '>=', BELOW_SOCKETS, NS_PER_US);
  report.goalRatio('postmessage_rtt_us', 'nop_rtt_ns', '>=', BELOW_SOCKETS, NS_PER_US);
  report.goalBound('idle_cpu_percent', '<=', IDLE_CPU_PERCENT);
  report.goalBound('allocated_bytes_per_op', '<=', 0);
}

function addBlockGoals(report: Report): void {
  report.goalRatio('hot_read_qd32_iops', 'nbdkit_hot_read_qd32_iops', '>=', 8);
  report.goalRatio('hot_read_qd1_p50_us', 'nbdkit_hot_read_qd1_mean_us', '<=', 1 / 20);
  report.goalRatio('cold_read_qd32_iops', 'fio_uring_cold_read_qd32_iops', '>=', 0.8);
}
