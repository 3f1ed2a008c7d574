#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "fairopt/executor.h"

namespace fairopt {
namespace {

/// A fixed team that sleeps between loops. The calling thread works too; a loop started from inside a loop runs inline.
class ThreadPool final : public Executor {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }

  ~ThreadPool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const override { return static_cast<int>(workers_.size()) + 1; }

  void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) override {
    if (begin >= end) return;
    const std::int64_t parts = std::min<std::int64_t>(threads(), (end - begin) / std::max<std::int64_t>(grain, 1));
    if (parts <= 1 || inside_) return body(begin, end);
    const std::lock_guard one_loop_at_a_time(loop_mutex_);
    Loop loop{begin, end, (end - begin + parts - 1) / parts, &body, {}, {}, {}};
    {
      const std::lock_guard lock(mutex_);
      loop_ = &loop;
      ++generation_;
    }
    wake_.notify_all();
    run(loop);
    std::unique_lock lock(mutex_);
    loop_ = nullptr;  // late risers find nothing; those inside are waited for
    idle_.wait(lock, [this] { return active_ == 0; });
    if (loop.error) std::rethrow_exception(loop.error);
  }

 private:
  struct Loop {
    std::int64_t begin, end, chunk;
    const Body* body;
    std::atomic<std::int64_t> next;
    std::mutex error_mutex;
    std::exception_ptr error;
  };

  static void run(Loop& loop) {
    inside_ = true;
    for (;;) {
      const std::int64_t lo = loop.begin + loop.chunk * loop.next.fetch_add(1);
      if (lo >= loop.end) break;
      try {
        (*loop.body)(lo, std::min(lo + loop.chunk, loop.end));
      } catch (...) {
        const std::lock_guard lock(loop.error_mutex);
        if (!loop.error) loop.error = std::current_exception();
      }
    }
    inside_ = false;
  }

  void work() {
    std::unique_lock lock(mutex_);
    std::uint64_t seen = 0;
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      Loop* loop = loop_;
      if (loop == nullptr) continue;
      ++active_;
      lock.unlock();
      run(*loop);
      lock.lock();
      if (--active_ == 0) idle_.notify_all();
    }
  }

  static thread_local bool inside_;
  std::mutex loop_mutex_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  Loop* loop_ = nullptr;
  std::uint64_t generation_ = 0;
  int active_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

thread_local bool ThreadPool::inside_ = false;

int wanted_threads() {
  if (const char* text = std::getenv("FAIROPT_NUM_THREADS")) return std::clamp(std::atoi(text), 1, 1024);
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Executor& default_executor() {
  static ThreadPool pool(wanted_threads());
  return pool;
}

}  // namespace fairopt
